"""``mlops.attach`` with nothing but the address of a server, a name and a password."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from parallelm.server.access.matrix import DATA_SCIENTIST, VIEWER
from parallelm.server.accounts import people, tokens
from tests.server.accounts import ACCOUNT_OF, PASSWORD, make_account
from tests.waiting import PATIENT, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from parallelm.server.accounts.database import Database

PROGRAM = """
import datetime, os
from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
try:
    mlops.attach("churn", os.environ["SERVER"], os.environ["PORT"], os.environ["NAME"], os.environ.get("SECRET"))
except MLOpsException as error:
    print("refused:", error)
else:
    frame = mlops.get_stats("latency", None, None, datetime.datetime(2026, 1, 1), datetime.datetime(2027, 1, 1))
    mlops.set_stat("seen in a notebook", 1.0)
    mlops.done()
    print("rows:", len(frame))
"""


def run(folder: Path, server: str, port: int | str, name: str, password: str | None, **more: str) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("MCENTER_", "PM_"))}
    environ |= {"SERVER": server, "PORT": str(port), "NAME": name, **PATIENT, **more}
    if password is not None:
        environ["SECRET"] = password
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert password is None or password not in done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture
def port(server_url: str) -> int:
    return urlsplit(server_url).port or 0


def test_a_notebook_needs_nothing_but_name_and_password(
    port: int, tmp_path: Path, client: httpx.Client, server_url: str
):
    assert run(tmp_path, "127.0.0.1", port, ACCOUNT_OF[DATA_SCIENTIST], PASSWORD) == "rows: 60"
    assert run(tmp_path, server_url, "", ACCOUNT_OF[DATA_SCIENTIST], PASSWORD) == "rows: 60"

    def seen() -> list[str]:
        found = client.get("/api/v1/mlapps/churn/statistics", params={"limit": 1000}).json()["items"]
        return [each["name"] for each in found]

    wait_for(lambda: "seen in a notebook" in seen(), lambda: str(seen()))


def test_a_token_stands_for_name_and_password(
    port: int, tmp_path: Path, server_database: Database, server_url: str
):
    with server_database.writing() as sql:
        account = people.find(sql, ACCOUNT_OF[DATA_SCIENTIST])
        secret = tokens.create(sql, account, "notebook", None, 1, time.time_ns() // 1_000_000)[1]
    assert run(tmp_path, "localhost", port, "", None, MCENTER_SERVER_TOKEN=secret) == "rows: 60"
    assert "refuses" in run(tmp_path, "localhost", port, "", None, MCENTER_SERVER_TOKEN=f"{secret}x")
    known = {"MCENTER_SERVER_TOKEN": secret, "MCENTER_SERVER_URL": server_url}
    assert run(tmp_path, "localhost", 3456, "", None, **known) == "rows: 60", "no server is named"
    assert "is not shown to http://localhost:1: give user and password" in run(
        tmp_path, "localhost", 1, "", None, **known
    )


def test_what_is_wrong_is_told_in_words(port: int, tmp_path: Path, server_database: Database):
    other = make_account(server_database, [(VIEWER, "other")], password=PASSWORD)
    own = make_account(server_database, [(VIEWER, "churn")], password=PASSWORD)
    assert "name and password do not fit" in run(tmp_path, "localhost", port, other, "wrong password")
    assert "no role that allows mlapps.read on MLApp 'churn'" in run(
        tmp_path, "localhost", port, other, PASSWORD
    )
    assert "set MCENTER_CLICKHOUSE_USER" in run(tmp_path, "localhost", port, own, PASSWORD)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        free = unused.getsockname()[1]
    assert f"no server answers at http://localhost:{free}" in run(
        tmp_path, "localhost", free, "ada", PASSWORD
    )
    assert "no server answers at https://127.0.0.2" in run(tmp_path, "127.0.0.2", free, "ada", PASSWORD)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "no MCenter server"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "no MCenter server"),
        (b"nonsense\r\n\r\n", "no MCenter server"),
        (b"", "no MCenter server"),
    ],
)
def test_something_else_that_listens_there_is_named_and_gets_no_second_request(
    tmp_path: Path, answer: bytes, said: str
):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert said in run(tmp_path, "127.0.0.1", listener.getsockname()[1], "ada", PASSWORD)
        thread.join(120)
