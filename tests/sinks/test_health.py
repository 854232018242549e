"""A sink that cannot write says so, and goes on by itself when it can."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from parallelm.schemas import topics
from parallelm.schemas.topic_admin import create_topics
from parallelm.sinks.backoff import Backoff
from parallelm.sinks.errors import DatabaseUnavailableError
from parallelm.supervision.ports import choose_ports
from parallelm.supervision.probes import http_answers, why_not_ready
from parallelm.supervision.service_frame import METRICS_PORT
from parallelm.warehouse import migrate
from tests.mcenter.engine.conftest import PASSWORD, running_engine
from tests.service_process import ServiceProcess
from tests.sinks import samples
from tests.sinks.conftest import Platform
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings


def test_since_when_attempts_fail_and_why():
    backoff = Backoff(limit_s=600)
    assert backoff.failing(10) == (0, "")
    backoff.failed(10, DatabaseUnavailableError("the disk is full"))
    backoff.failed(11, DatabaseUnavailableError("it is still full"))
    assert backoff.failing(50) == (40, "it is still full")
    backoff.succeeded()
    assert backoff.failing(51) == (0, "")


def test_a_sink_whose_database_is_away_is_alive_and_not_ready(settings: Settings, tmp_path: Path):
    port = choose_ports({"metrics": None}, {})["metrics"]
    with running_engine(tmp_path / "engine") as engine:
        clickhouse = dataclasses.replace(
            settings.clickhouse,
            user="default",
            password=PASSWORD,
            port=engine.port,
            http_port=engine.http_port,
        )
        own = dataclasses.replace(settings, clickhouse=clickhouse)
        create_topics(own)
        migrate(own)
        environ = os.environ | {METRICS_PORT: str(port)}
        with ServiceProcess(tmp_path / "sink", "sink", settings=own, environ=environ) as sink:
            assert why_not_ready(port) == ""
            engine.kill()
            platform = Platform(own)
            platform.send(topics.STATISTICS, samples.batch(samples.series([samples.T0_MS], [1.0], "load")))
            reason = wait_for(lambda: why_not_ready(port), sink.log)
            assert "nothing can be written for 3" in reason
            assert http_answers(port, "/live")
            engine.start()
            wait_for(lambda: http_answers(port, "/ready"), sink.log)
