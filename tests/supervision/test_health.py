"""What a service answers at its metrics port."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from parallelm.supervision.health import Health, serve
from parallelm.supervision.probes import http_answers, why_not_ready

if TYPE_CHECKING:
    from collections.abc import Iterator


class Served:
    def __init__(self) -> None:
        self.health = Health()
        self.hang = self.stall = ""
        self.health.watch(hangs=lambda: self.hang, stalls=lambda: self.stall)
        self.server = serve("127.0.0.1", 0, self.health)
        self.port = self.server.server_address[1]

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
                return answer.status, answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode().strip()


@pytest.fixture
def served() -> Iterator[Served]:
    found = Served()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_a_service_is_alive_before_it_is_ready(served: Served):
    assert served.ask("/live") == (200, "ok")
    assert served.ask("/ready") == (503, "it is still starting")
    served.health.ready()
    assert served.ask("/ready") == (200, "ok")
    assert why_not_ready(served.port) == ""


def test_a_stall_is_no_reason_to_start_it_again_and_a_hang_is_one(served: Served):
    served.health.ready()
    served.stall = "nothing can be written for 95 s: the disk is full"
    assert served.ask("/live") == (200, "ok")
    assert served.ask("/ready") == (503, served.stall)
    assert why_not_ready(served.port) == served.stall
    served.hang = "the loop does not run"
    assert served.ask("/live") == (503, "the loop does not run")
    assert not http_answers(served.port, "/live")
    served.hang = served.stall = ""
    assert served.ask("/ready") == (200, "ok")


def test_metrics_come_with_help_texts_and_other_paths_are_named(served: Served):
    status, text = served.ask("/metrics")
    assert status == 200
    families = list(text_string_to_metric_families(text))
    assert families
    assert all(family.documentation for family in families)
    assert served.ask("/else") == (404, "there are: /metrics, /live, /ready")


def test_an_address_that_is_not_this_machines_ends_a_service_with_2():
    program = "from parallelm.supervision.service_frame import serving\nwith serving(): pass"
    environ = os.environ | {"MCENTER_METRICS_HOST": "192.0.2.1", "MCENTER_METRICS_PORT": "9100"}
    done = subprocess.run(
        (sys.executable, "-c", program), env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "MCENTER_METRICS_HOST=192.0.2.1" in done.stderr
