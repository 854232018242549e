"""A model server under gunicorn: loaded once and forked, or loaded by each worker; what they report arrives once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.supervision.die_with_parent import killed_with_us
from tests.producers.conftest import DEADLINE_S
from tests.waiting import Deadline, wait_for

if TYPE_CHECKING:
    from tests.producers.conftest import Component

SERVER = """
import os
from parallelm.mlops import mlops

mlops.init()
mlops.set_stat("loaded", float(os.getpid()))

def application(environ, start_response):
    mlops.set_stat("served", float(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

LISTENING = re.compile(r"Listening at: (http://127\.0\.0\.1:\d+)")
WORKERS = 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("preload", [True, False], ids=["loaded once", "loaded by each worker"])
def test_what_workers_report_arrives_once(component: Component, preload: bool) -> None:
    (component.folder / "server.py").write_text(SERVER)
    log = component.folder / "gunicorn.log"
    command = [sys.executable, "-m", "gunicorn", "server", "--bind", "127.0.0.1:0", "--workers", str(WORKERS)]
    command += ["--preload"] if preload else []
    with (
        log.open("w") as output,
        subprocess.Popen(
            killed_with_us(*command),
            env=component.environment(),
            cwd=component.folder,
            stdout=output,
            stderr=output,
        ) as server,
    ):
        try:
            listening = wait_for(
                lambda: LISTENING.search(log.read_text()) or server.poll() is not None, log.read_text
            )
            assert isinstance(listening, re.Match), log.read_text()
            deadline = Deadline()
            workers: set[bytes] = set()
            requests = 0
            while len(workers) < WORKERS or requests < 50:
                deadline.check(lambda: f"{len(workers)} of {WORKERS} workers have answered")
                url = f"{listening[1]}/?{requests}"
                with urllib.request.urlopen(url, timeout=DEADLINE_S) as response:  # noqa: S310 - a URL of this test
                    workers.add(response.read())
                requests += 1
        finally:
            server.terminate()
            server.wait(DEADLINE_S)
    producers = WORKERS + preload
    batches = component.records(
        "statistics",
        lambda found: (
            len({batch.producer_id for batch in found}) >= producers
            and len(_values(found, "served")) >= requests
        ),
    )
    assert len({batch.producer_id for batch in batches}) == producers
    assert sorted(_values(batches, "served")) == [float(number) for number in range(requests)]
    loaders = [server.pid] if preload else [int(worker) for worker in workers]
    assert sorted(_values(batches, "loaded")) == sorted(map(float, loaders))


def _values(batches: list[Any], name: str) -> list[float]:
    return [
        value
        for batch in batches
        for series in batch.series
        if series.name == name
        for value in series.values
    ]
