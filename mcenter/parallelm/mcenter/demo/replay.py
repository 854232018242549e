"""The replay: the year's days, one after the other, to what agents run of the MLApp."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.mcenter.demo.components import Component, Components
from parallelm.mcenter.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MLAPP = "flight-delays"
FIRST_DAY = date(2013, 1, 1)
BROKEN_MONTH = "2013-08"
"""August's model is trained on shuffled weather columns."""


NODES = ("train", "predict", "predict-canary", "predict-jfk", "kpis")


def example_folder() -> Path:
    """Folder of the component programs; raises ``DemoError`` outside of a source tree."""
    for root in (Path.cwd(), *Path(__file__).resolve().parents):
        folder = root / "examples" / "flight_delays"
        if folder.is_dir():
            return folder
    raise DemoError("examples/flight_delays is not here: run the demo in a clone of the source tree")


def replay_folder(config: Path) -> Path:
    """Where the pipes are."""
    return config.parent / "replay"


def launch(examples: Path, config: Path, broken_month: str) -> Iterator[str]:
    """Apply the MLApp's YAML file as its engineers would, and launch it; returns what the commands say."""
    values = {"programs": examples, "pipes": replay_folder(config), "broken_month": broken_month or "none"}
    settings = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    yield _mcenter(config, "apply", str(examples / "flight_delays.yaml"), *settings)
    yield _mcenter(config, "launch", MLAPP)


def _mcenter(config: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "parallelm.mcenter", "mlapp", *arguments]
    done = subprocess.run(command, env=environ(config), capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(
            f"`mcenter mlapps {arguments[0]}` failed: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout.strip()


def replay(components: Components, days: int, on_day: Callable[[date], None]) -> float:
    """Release ``days`` days, calling ``on_day`` after each; returns seconds from the first day to the last report."""
    started = time.monotonic()
    for number in range(days):
        day = FIRST_DAY + timedelta(days=number)
        components.work(day)
        on_day(day)
    components.finish()
    return time.monotonic() - started


def components_in(folder: Path) -> Components:
    """The pipes of all nodes, made anew."""
    folder.mkdir(parents=True)
    return Components([Component(node, folder) for node in NODES])


def environ(config: Path) -> dict[str, str]:
    """This process's environment with the stack's settings in place of any that it carries."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("MCENTER_", "PM_"))
    }
    ours = {"MCENTER_CONFIG": str(config), "MCENTER_COMPONENT_OUTBOX_FOLDER": str(config.parent / "outbox")}
    return inherited | ours | {"OMP_NUM_THREADS": "1"}
