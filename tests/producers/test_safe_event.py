"""An event that signal handlers use in the middle of its own calls."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import signal, threading, time
from parallelm.mlops._delivery.host_process.safe_event import SafeEvent

events = [SafeEvent() for _ in range(2)]
never, happens = events
seen = 0

def handle(*_):
    global seen
    seen += 1
    never.wait(0.0)
    happens.set()
    assert happens.wait(1.0)

signal.signal(signal.SIGPROF, handle)
signal.setitimer(signal.ITIMER_PROF, 0.0002, 0.0002)
while seen < 500:
    assert not never.wait(0.0)
    happens.set()
    assert happens.wait(1.0)
signal.setitimer(signal.ITIMER_PROF, 0)
waiting = [threading.Thread(target=never.wait, args=(60.0,)) for _ in range(5)]
for thread in waiting:
    thread.start()
never.set()
for thread in waiting:
    thread.join(30)
print([thread.is_alive() for thread in waiting], never.wait(0.0))
"""


def test_handlers_in_the_middle_of_its_calls_do_not_stop_it_and_all_who_wait_go_on() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.strip() == f"{[False] * 5} True"
