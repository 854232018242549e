"""How the demo runs its components: one day at a time, and with clear words when one fails."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from typing import TYPE_CHECKING

import psutil
import pytest

from parallelm.mcenter.demo import components
from parallelm.mcenter.demo.components import Component, Components
from parallelm.mcenter.demo.errors import DemoError
from parallelm.supervision.die_with_parent import killed_with_us
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = date(2013, 1, 1), date(2013, 1, 2)
KILLED_DEMO = """
import os, sys
from pathlib import Path
from parallelm.mcenter.demo.components import Component
busy = Component("train", Path(sys.argv[1]), (), os.environ, Path(sys.argv[2]))
print(busy.pid, flush=True)
sys.stdin.read()
"""
ECHO = """
import sys
for line in sys.stdin:
    print("reports may stand between", flush=True)
    print("done " + line.strip(), flush=True)
"""


def _component(folder: Path, name: str, program: str) -> Component:
    path = folder / f"{name}.py"
    path.write_text(program, encoding="utf-8")
    return Component(name, path, (), os.environ, folder / f"{name}.log")


def _is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_day_is_over_when_every_component_says_so(tmp_path: Path):
    with Components([_component(tmp_path, name, ECHO) for name in ("one", "two")]) as both:
        both.work(FIRST)
        both.work(SECOND)
        both.finish()


def test_a_component_that_fails_is_told_with_its_last_lines(tmp_path: Path):
    failing = _component(
        tmp_path, "train", "import sys\nsys.stdin.readline()\nraise ValueError('no such column')"
    )
    with (
        Components([failing]) as one,
        pytest.raises(DemoError, match=r"(?s)train ended with .* 1.*no such column"),
    ):
        one.work(FIRST)


def test_a_component_that_fails_at_its_end_is_told_too(tmp_path: Path):
    failing = _component(tmp_path, "kpis", ECHO + "raise SystemExit('not everything was sent')")
    with Components([failing]) as one:
        one.work(FIRST)
        with pytest.raises(DemoError, match="not everything was sent"):
            one.finish()


def test_a_component_that_hangs_is_named_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one_day = 'import sys\nprint("done", sys.stdin.readline().strip(), flush=True)\nsys.stdin.read()'
    hanging = _component(tmp_path, "predict", one_day)
    with Components([_component(tmp_path, "train", ECHO), hanging]) as both:
        both.work(FIRST)  # both have started, so that one second is enough for the other
        monkeypatch.setattr(components, "DAY_DEADLINE_S", 1.0)
        with pytest.raises(DemoError, match=r"^predict did not finish 2013-01-02 within 1 s$"):
            both.work(SECOND)


def test_no_component_outlives_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(components, "KILL_AFTER_S", 0.5)
    stubborn = _component(
        tmp_path,
        "predict",
        f"import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{ECHO}\ntime.sleep(600)",
    )
    with Components([_component(tmp_path, "train", ECHO), stubborn]) as both:
        both.work(FIRST)
    assert not _is_running(stubborn.pid)


def test_a_component_dies_with_a_demo_that_is_killed_whatever_it_is_busy_with(tmp_path: Path):
    program = tmp_path / "train.py"
    program.write_text("import time\ntime.sleep(600)", encoding="utf-8")
    demo = subprocess.Popen(
        killed_with_us(sys.executable, "-c", KILLED_DEMO, str(program), str(tmp_path / "log")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    component = int(demo.stdout.readline())
    demo.kill()
    demo.communicate()
    wait_for(lambda: not _is_running(component), "the component is gone")
