"""The commands of the page on the REST API run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from parallelm.definitions.components import packing
from parallelm.server.access import limits
from parallelm.server.accounts import people, tokens
from parallelm.server.api import _uploads
from parallelm.server.compatibility import reports
from tests.server.accounts import PASSWORD
from tests.waiting import wait_for

if TYPE_CHECKING:
    import httpx

    from parallelm.server.accounts.database import Database

PAGE = Path(__file__).parents[2] / "docs" / "rest-api.md"
BASH = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def answers(
    server_url: str, server_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """What each block prints; they run in their order, in one folder."""
    with server_database.writing() as sql:
        account = people.find(sql, "ada")
        token = tokens.create(sql, account, "page", None, 1, time.time_ns() // 1_000_000)[1]
    folder = tmp_path_factory.mktemp("page")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {"SERVER": server_url, "TOKEN": token, "NAME": "ada", "PASSWORD": PASSWORD, "PATH": path}
    found = []
    for block in BASH.findall(PAGE.read_text(encoding="utf-8")):
        done = subprocess.run(
            ["/bin/bash", "-euc", block],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        found.append(done.stdout)
    return found


def test_what_the_page_asks_is_answered_as_it_says(answers: list[str], client: httpx.Client) -> None:
    alerts, lines, second, unchanged, checked, applied, silence, looked, unknown, reported = answers
    assert {each["mlapp_id"] for each in json.loads(alerts)["items"]} == {"churn"}
    assert json.loads(lines)["lines"][0]["name"] == "latency"
    assert len(json.loads(second)["items"]) == 1
    assert unchanged == "304\n"
    assert json.loads(checked)["rules"][0]["name"] == "slow"
    assert json.loads(applied) == {"mlapp_id": "shop", "version": 1, "is_new": True}
    assert json.loads(silence)["who"] == "ada"
    assert json.loads(looked)["sent"] == 2
    [shown] = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert json.loads(unknown) | {"request_id": "…"} == json.loads(shown)
    assert json.loads(reported) == {"status": "ok"}

    def queue() -> list[str]:
        found = client.get("/api/v1/mlapps/churn/statistics", params={"limit": 1000}).json()["items"]
        return [each["node_id"] for each in found if each["name"] == "queue"]

    wait_for(lambda: queue() == ["predict"], lambda: str(queue()))


def test_how_much_may_be_sent_is_what_the_server_takes() -> None:
    points, report = f"{_uploads.MOST_BYTES:,}", f"{reports.MOST_BYTES:,}"
    said = (
        f"hat is sent has at most {limits.BODY_BYTES >> 20} MiB; a report {report} bytes, points of KPIs or outcomes {points} bytes, "
        f"components {packing.MAX_BYTES >> 20} MiB, a model or capture {limits.UPLOAD_BYTES >> 30} GiB."
    )
    for page in (PAGE, PAGE.with_name("server-security.md")):
        assert said in page.read_text(encoding="utf-8"), page


def test_the_table_names_calls_that_there_are(client: httpx.Client) -> None:
    contract = client.get("/api/v1/openapi.json").json()["paths"]
    known = {re.sub(r"\{[^}]*\}", "{}", path.removeprefix("/api/v1")) for path in contract}
    text = PAGE.read_text(encoding="utf-8")
    named = re.findall(
        r"`(?:(?:GET|POST|PUT|DELETE) )?(/[\w/{}-]+)(?:\?[\w=]*)?`",
        text.partition("|---|---|")[2].partition("\n\n")[0],
    )
    assert len(named) >= 30
    assert {re.sub(r"\{[^}]*\}", "{}", path) for path in named} <= known
