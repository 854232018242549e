"""``mlops.attach`` through a server whose brokers ask for TLS and a password: name and password of the server are enough."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from parallelm.server.access.matrix import DATA_SCIENTIST, VIEWER
from parallelm.server.run import make_context
from tests.server.accounts import ACCOUNT_OF, PASSWORD, opened_database, signed_in
from tests.server.serving import served
from tests.waiting import PATIENT

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Secured

PROGRAM = """\
import os
from parallelm.mlops import mlops
mlops.attach("app", os.environ["SERVER"], "", os.environ["NAME"], os.environ["SECRET"])
mlops.set_stat("from a notebook", 1.0)
mlops.done()
"""
OWN_SECRET = "of the server itself"  # noqa: S105 - of no store


def run(folder: Path, url: str, role: str) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("MCENTER_", "PM_"))}
    environ |= {"SERVER": url, "NAME": ACCOUNT_OF[role], "SECRET": PASSWORD, **PATIENT}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_the_server_hands_on_what_a_component_needs_and_nothing_of_its_own(secured: Secured):
    own = secured.settings("server")
    producer = secured.broker.user("producer")
    artifacts = {"endpoint_url": "https://s3.example.org", "key": "the server's", "secret": OWN_SECRET}
    settings = dataclasses.replace(
        own,
        server=dataclasses.replace(
            own.server,
            component_kafka_username=producer.sasl_username,
            component_kafka_password=producer.sasl_password,
            component_clickhouse_user=own.clickhouse.user,
            component_clickhouse_password=own.clickhouse.password,
        ),
    )
    with (
        opened_database(f"sqlite:///{secured.folder / 'server.db'}") as database,
        served(make_context(settings, database)) as url,
    ):
        said = run(secured.folder, url, DATA_SCIENTIST)
        assert "Traceback" not in said, said
        assert '"from a notebook"' in secured.mcenter("reader", "tail", "statistics", "--json")
        assert own.kafka.sasl_password not in said
    with_store = dataclasses.replace(
        settings, artifacts=dataclasses.replace(settings.artifacts, options_json=json.dumps(artifacts))
    )
    with (
        opened_database(f"sqlite:///{secured.folder / 'other.db'}") as database,
        served(make_context(with_store, database)) as url,
        signed_in(database, ACCOUNT_OF[DATA_SCIENTIST]).client(url) as scientist,
        signed_in(database, ACCOUNT_OF[VIEWER]).client(url) as viewer,
    ):
        profile = scientist.get("/api/v1/connection-profile")
        assert own.kafka.sasl_password not in profile.text
        assert OWN_SECRET not in profile.text
        assert json.loads(profile.json()["artifacts"]["options_json"]) == {
            "endpoint_url": "https://s3.example.org"
        }
        kafka = viewer.get("/api/v1/connection-profile").json()["kafka"]
        assert (kafka["sasl_username"], kafka["sasl_password"]) == ("", "")
        assert kafka["ssl_ca_pem"].startswith("-----BEGIN CERTIFICATE-----")
