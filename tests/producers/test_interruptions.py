"""Ctrl-C and SIGTERM at awkward moments: what was reported arrives, or is counted."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.producers.conftest import DEADLINE_S
from tests.producers.unused_port import address_of, unused_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.producers.conftest import Component

REPORTS = 1000

INTERRUPTED = """
import os, signal, sys, threading
from parallelm.mlops import mlops
from parallelm.mlops._delivery.sender import Sender

if {number} == signal.SIGTERM:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
closing = Sender.close
def close(self, patience):
    # In the middle of done(), as a user would.
    Sender.close = closing
    threading.Timer(0.05, os.kill, (os.getpid(), {number})).start()
    closing(self, patience)
    signal.pause()
mlops.init()
for number in range({reports}):
    mlops.set_stat("rows", float(number))
mlops.data_alert("last words", "")
Sender.close = close
mlops.done()
"""


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a port that takes connections and answers nothing."""
    with unused_port() as no_broker:
        no_broker.listen()
        yield address_of(no_broker)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_what_an_interrupted_done_leaves_is_sent_at_exit(component: Component, number: int) -> None:
    with component.start(INTERRUPTED.format(number=int(number), reports=REPORTS)) as process:
        _, log = process.communicate(timeout=DEADLINE_S)
    assert process.returncode != 0, log
    assert "dropped" not in log
    values = sorted(value for _, value in component.samples("rows", REPORTS))
    assert values == [float(one) for one in range(REPORTS)]
    assert [one.title for one in component.records("events", bool)] == ["last words"]


def _expect_line(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == line


IMPATIENT = """
import atexit
from parallelm.mlops import mlops
mlops.init()
mlops.set_stat("rows", 1.0)
mlops.set_stat("rows", 2.0)
try:
    print("done", flush=True)
    mlops.done()
finally:
    print("exit", flush=True)
"""


def test_what_a_second_ctrl_c_leaves_is_counted_and_named(component: Component, silent: str) -> None:
    settings = {"MCENTER_KAFKA_BOOTSTRAP_SERVERS": silent, "MCENTER_COMPONENT_CLOSE_TIMEOUT_S": "60"}
    with component.start(IMPATIENT, **settings) as process:
        _expect_line(process, "done")
        process.send_signal(signal.SIGINT)
        _expect_line(process, "exit")
        while process.poll() is None:  # as an impatient user does
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        _, log = process.communicate(timeout=DEADLINE_S)
    assert "2 closed: 2 x statistic 'rows'" in log


def test_init_after_an_interrupted_done_waits_for_it(component: Component) -> None:
    component.run("""
import os, signal
from parallelm.mlops import mlops
from parallelm.mlops._delivery.sender import Sender
closing = Sender.close
def interrupted(self, patience):
    Sender.close = closing
    self._stopping.set()
    raise KeyboardInterrupt
mlops.init()
for number in range(1000):
    mlops.set_stat("rows", float(number))
Sender.close = interrupted
try:
    mlops.done()
except KeyboardInterrupt:
    pass
assert not mlops.init_called
mlops.init()
mlops.set_stat("rows", 1000.0)
mlops.done()
assert mlops.dropped() == {}
""")
    values = sorted(value for _, value in component.samples("rows", 1001))
    assert values == [float(one) for one in range(1001)]


def test_a_signal_at_any_moment_of_init_leaves_the_library_open_or_closed(component: Component) -> None:
    """Ctrl-C after each line that ``init()`` runs, in turn: afterwards ``init()`` works, and what is reported arrives."""
    output = component.run("""
import sys
from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException

def init_interrupted_after(lines):
    left = lines
    def trace(frame, event, argument):
        nonlocal left
        if "parallelm" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace
    sys.settrace(trace)
    try:
        mlops.init()
        return True
    except KeyboardInterrupt:
        return False
    finally:
        sys.settrace(None)

mlops.init()
mlops.done()
lines, reported = 0, 0
while True:
    whole = init_interrupted_after(lines)
    if not mlops.init_called:
        mlops.init()
    mlops.set_stat("rows", float(reported))
    reported += 1
    mlops.done()
    assert mlops.dropped() == {}, (lines, mlops.dropped())
    if whole:
        break
    lines += 17
print(reported)
""")
    reported = int(output)
    assert reported > 5
    assert sorted(value for _, value in component.samples("rows", reported)) == [
        float(one) for one in range(reported)
    ]
