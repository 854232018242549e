"""A process whose loop hangs, or whose stop does, ends with what it hung in."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging, threading
from parallelm.stream_processors.runtime.watchdog import Watchdog
logging.basicConfig()
watchdog = Watchdog(what="the loop", loop_limit_s=1, stop_limit_s=1)
watchdog.start()
{then}
def hangs():
    threading.Event().wait()
hangs()
"""


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("watchdog.beat()", ["the loop has not run for 1 s", "in hangs"]),
        ("watchdog.stopping()", ["the process did not stop in time"]),
        ("watchdog.stopping('a shard gave up')", ["a shard gave up; the process did not stop in time"]),
    ],
)
def test_a_process_that_hangs_is_ended_and_says_where(then: str, said: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(then=then)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    for part in said:
        assert part in ended.stderr
