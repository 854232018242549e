"""What every mode's output promises about opening, closing and forking, also where people or servers read it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from parallelm.supervision.die_with_parent import killed_with_us
from tests.producers.conftest import DEADLINE_S

if TYPE_CHECKING:
    from tests.producers.conftest import Component

MODES = ("stand_alone", "rest_accumulator", "agent")

CLOSED_TWICE = """
from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
for _ in range(2):
    mlops.init()
    mlops.set_stat("x", 1.0)
    output = mlops._session.opened().output
    mlops.done()
    output.close()
    output.close()
    for call in (mlops.done, lambda: mlops.set_stat("x", 2.0)):
        try:
            call()
        except MLOpsException as error:
            assert "Must call init()" in str(error)
        else:
            raise AssertionError(call)
assert mlops.dropped() == {}
"""

FORKED = """
import os, sys
from parallelm.mlops import mlops
mlops.init()
mlops.set_stat("x", 1.0)
child = os.fork()
if child == 0:
    mlops.set_stat("y", 2.0)
    newest = mlops.get_stats_map()
    assert not newest or newest["y"] == 2.0
    mlops.done()
    assert mlops.dropped() == {}
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
mlops.set_stat("z", 3.0)
assert "y" not in mlops.get_stats_map()
mlops.done()
assert mlops.dropped() == {}
"""

LATE_THREAD = """
import threading
from parallelm.mlops import mlops
from parallelm.schemas.series_key import SeriesKey
mlops.init()
go, ended = threading.Event(), threading.Event()
output = mlops._session.opened().output
def late():
    go.wait()
    for _ in range(3):
        output.sample(SeriesKey("late"), 1.0, 0)  # as a call that done() overtook
    ended.set()
threading.Thread(target=late, daemon=True).start()
mlops.done()
go.set()
assert ended.wait(60)
"""


def run(component: Component, mode: str, program: str) -> str:
    ran = subprocess.run(
        killed_with_us(sys.executable, "-c", program),
        env=component.environment(PM_MLOPS_MODE=mode),
        cwd=component.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout


@pytest.mark.parametrize("mode", MODES)
def test_an_output_may_be_closed_again(component: Component, mode: str) -> None:
    run(component, mode, CLOSED_TWICE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("mode", MODES)
def test_a_forked_child_reports_by_itself(component: Component, mode: str) -> None:
    out = run(component, mode, FORKED)
    if mode == "stand_alone":
        assert [line.split(", ")[1] for line in out.splitlines()] == ["x", "y", "z"]
    if mode == "agent":
        for name in "xyz":
            assert len(component.samples(name, 1)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_thread_that_done_overtakes_sees_no_exception(component: Component, mode: str) -> None:
    run(component, mode, LATE_THREAD)
