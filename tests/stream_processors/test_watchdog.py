"""A process whose loop hangs, or whose stop does, ends with what it hung in."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging, threading
from parallelm.stream_processors.runtime.watchdog import Watchdog
logging.basicConfig()
reason = ""
watchdog = Watchdog(failure=lambda: reason, what="the loop", loop_limit_s=1, stop_limit_s=1)
watchdog.start()
{then}
def hangs():
    threading.Event().wait()
hangs()
"""

STOP_OF_A_WORKER = """
import asyncio, logging
from parallelm.connections import Settings
from parallelm.stream_processors.runtime.transactions import FencedError
from parallelm.stream_processors.runtime.worker import Worker
logging.basicConfig()
class Hanging:
    crash_reason = None
    async def start(self):
        await asyncio.Event().wait()
    wait_until_stopped = stop = start
async def main():
    worker = Worker(Settings(), [], on_ready=print, session_timeout_s=10, instance_id="same")
    worker._app, worker._failed = Hanging(), FencedError("a shard was taken")
    worker._watchdog._stop_limit_s = 1
    worker._watchdog.start()
    worker.stop()
    await worker._until_stopped()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("watchdog.beat()", ["the loop has not run for 1 s", "in hangs"]),
        ("watchdog.stopping()", ["the process did not stop in time"]),
        (
            "reason = 'a shard gave up'; watchdog.stopping()",
            ["a shard gave up; the process did not stop in time"],
        ),
    ],
)
def test_a_process_that_hangs_is_ended_and_says_where(then: str, said: list[str]) -> None:
    last_words = last_words_of(PROGRAM.format(then=then))
    for part in said:
        assert part in last_words


def test_a_worker_whose_stop_hangs_says_why_it_stopped() -> None:
    last_words = last_words_of(STOP_OF_A_WORKER)
    for part in ("a shard was taken", "--instance-id 'same'", "the process did not stop in time"):
        assert part in last_words


def last_words_of(program: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    return ended.stderr
