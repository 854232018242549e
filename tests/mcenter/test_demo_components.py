"""How the demo talks to its components: one day at a time, and with clear words when one fails."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from datetime import date
from typing import TYPE_CHECKING

import pytest

from parallelm.mcenter.demo import components
from parallelm.mcenter.demo.components import Component, Components
from parallelm.mcenter.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIRST, SECOND = date(2013, 1, 1), date(2013, 1, 2)
ECHO = """
import sys
for line in sys.stdin:
    print("reports may stand between", flush=True)
    print("done " + line.strip(), flush=True)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str, str], Component]]:
    """Start a program as the MLApp file has an agent start it: with its two pipes."""
    with ExitStack() as programs:

        def started(name: str, program: str) -> Component:
            component = Component(name, tmp_path)
            command = f"exec {sys.executable} -c '{program}' < {name}.days > {name}.done"
            process = programs.enter_context(subprocess.Popen(["/bin/sh", "-c", command], cwd=tmp_path))
            programs.callback(process.kill)
            return component

        yield started


def test_a_day_is_over_when_every_component_says_so(start: Callable[[str, str], Component]) -> None:
    with Components([start("one", ECHO), start("two", ECHO)]) as both:
        both.work(FIRST)
        both.work(SECOND)
        both.finish()


def test_days_wait_for_a_component_that_is_not_there_yet(
    start: Callable[[str, str], Component], tmp_path: Path
) -> None:
    component = Component("late", tmp_path)
    component.release(FIRST)
    command = f"exec {sys.executable} -c '{ECHO}' < late.days > late.done"
    with subprocess.Popen(["/bin/sh", "-c", command], cwd=tmp_path) as process:
        with Components([component, start("other", ECHO)]) as both:
            both.work(SECOND)
            both.finish()
        assert process.wait(120) == 0


def test_a_component_that_fails_is_named_with_what_to_look_at(start: Callable[[str, str], Component]) -> None:
    failing = start("train", 'import sys\nsys.stdin.readline()\nraise ValueError("no such column")')
    with Components([failing]) as one, pytest.raises(DemoError, match=r"node train has ended .*runs list"):
        one.work(FIRST)


def test_a_component_that_hangs_is_named_at_the_deadline(
    start: Callable[[str, str], Component], monkeypatch: pytest.MonkeyPatch
) -> None:
    one_day = 'import sys\nprint("done", sys.stdin.readline().strip(), flush=True)\nsys.stdin.read()'
    with Components([start("train", ECHO), start("predict", one_day)]) as both:
        both.work(FIRST)  # both have started, so that one second is enough for the other
        monkeypatch.setattr(components, "DAY_DEADLINE_S", 1.0)
        with pytest.raises(DemoError, match=r"^predict did not finish 2013-01-02 within 1 s$"):
            both.work(SECOND)
