"""How the demo runs its components: one day at a time, and with clear words when one fails."""

from __future__ import annotations

import os
from datetime import date
from typing import TYPE_CHECKING

import pytest

from parallelm.mcenter.demo import components
from parallelm.mcenter.demo.components import Component, Components
from parallelm.mcenter.demo.errors import DemoError

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = date(2013, 1, 1), date(2013, 1, 2)
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
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


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
    monkeypatch.setattr(components, "DAY_DEADLINE_S", 1.0)
    hanging = _component(tmp_path, "predict", "import sys\nsys.stdin.read()")
    with (
        Components([_component(tmp_path, "train", ECHO), hanging]) as both,
        pytest.raises(DemoError, match=r"^predict did not finish 2013-01-01 within 1 s$"),
    ):
        both.work(FIRST)


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
