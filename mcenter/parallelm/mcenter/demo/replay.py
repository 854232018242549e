"""The replay: the year's days, one after the other, to components that know nothing but ``parallelm.mlops``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.mcenter.demo.components import Component, Components
from parallelm.mcenter.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MLAPP = "flight-delays"
FIRST_DAY = date(2013, 1, 1)
BROKEN_MONTH = "2013-08"
"""August's model is trained on shuffled weather columns."""


@dataclass(frozen=True, slots=True)
class Program:
    """A component of the MLApp. Without a node it is none of its pipelines: the KPIs come from the business."""

    file: str
    node: str
    arguments: Sequence[str] = ()


def programs(broken_month: str) -> tuple[Program, ...]:
    """All components."""
    return (
        Program("train.py", "train", ("--broken-month", broken_month)),
        Program("predict.py", "predict"),
        Program("predict.py", "predict-canary", ("--every", "4")),
        Program("predict.py", "predict-jfk", ("--origin", "JFK")),
        Program("kpis.py", ""),
    )


def example_folder() -> Path:
    """Folder of the component programs; raises ``DemoError`` outside of a source tree."""
    for root in (Path.cwd(), *Path(__file__).resolve().parents):
        folder = root / "examples" / "flight_delays"
        if folder.is_dir():
            return folder
    raise DemoError("examples/flight_delays is not here: run the demo in a clone of the source tree")


def apply_definition(examples: Path, config: Path) -> str:
    """Apply the MLApp's YAML file as its engineers would; returns what the command says."""
    command = [
        sys.executable,
        "-m",
        "parallelm.mcenter",
        "mlapp",
        "apply",
        str(examples / "flight_delays.yaml"),
    ]
    done = subprocess.run(command, env=environ(config), capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"`mcenter mlapp apply` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def replay(
    examples: Path, config: Path, days: int, broken_month: str, on_day: Callable[[date], None]
) -> float:
    """Release ``days`` days, calling ``on_day`` after each; returns seconds from the first day to the last report."""
    with Components(list(_started(examples, config, broken_month))) as components:
        started = time.monotonic()
        for number in range(days):
            day = FIRST_DAY + timedelta(days=number)
            components.work(day)
            on_day(day)
        components.finish()
        return time.monotonic() - started


def environ(config: Path) -> dict[str, str]:
    """This process's environment with the stack's settings in place of any that it carries."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("MCENTER_", "PM_"))
    }
    ours = {"MCENTER_CONFIG": str(config), "MCENTER_COMPONENT_OUTBOX_FOLDER": str(config.parent / "outbox")}
    return inherited | ours | {"OMP_NUM_THREADS": "1"}


def _started(examples: Path, config: Path, broken_month: str) -> Iterator[Component]:
    logs = config.parent / "logs"
    for program in programs(broken_month):
        name = program.node or Path(program.file).stem
        who = {
            "PM_MLOPS_MODE": "agent",
            "PM_WORKFLOW_INSTANCE_ID": MLAPP,
            "PM_WORKFLOW_NODE_ID": program.node,
            "PM_PIPELINE_INSTANCE_ID": f"{MLAPP}-{name}",
        }
        yield Component(
            name, examples / program.file, program.arguments, environ(config) | who, logs / f"{name}.log"
        )
