"""Time from a start command to the report that the program runs, and memory of an agent with 200 runs."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from parallelm.connections import save_settings
from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas.records import RunReportKind
from parallelm.schemas.topic_admin import create_topics
from tests.agent.control_plane import ControlPlane, run_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.definitions.run_spec import RunSpec

GIVE_UP_AFTER_S = 120.0


def main() -> None:
    """Print percentiles of the time, and the agent's memory before and with all runs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=200)
    runs = options.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LocalStack(folder / "stack", services=("kafka",)) as stack:
            create_topics(stack.settings)
            save_settings(stack.settings, folder / "mcenter.toml")
            command = [
                sys.executable,
                "-m",
                "parallelm.mcenter",
                "agent",
                "--name",
                "host-a",
                "--runs-end-with-parent",
            ]
            with (folder / "log").open("ab") as log:
                agent = subprocess.Popen(
                    [*command, "--data", str(folder / "agent")],
                    env=os.environ | {"MCENTER_CONFIG": str(folder / "mcenter.toml")},
                    stdout=log,
                    stderr=log,
                )
                try:
                    _measure(ControlPlane(stack.settings), agent.pid, runs)
                finally:
                    agent.terminate()
                    agent.wait(30)


def _measure(plane: ControlPlane, pid: int, runs: int) -> None:
    _await(lambda: bool(plane.states()))
    before = _memory(pid)
    took_ms = []
    for number in range(runs):
        began = time.perf_counter()
        plane.start(f"r{number}", spec=_waiting(f"r{number}"))
        _await(partial(_has_started, plane, f"r{number}"))
        took_ms.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(took_ms, n=100)
    print(
        f"start command to report `started`: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, of {runs} one by one"
    )
    print(f"agent process: {before / 1e6:.0f} MB without runs, {_memory(pid) / 1e6:.0f} MB with {runs}")
    process, spent = psutil.Process(pid), psutil.Process(pid).cpu_times()
    time.sleep(20)
    now = process.cpu_times()
    share = (now.user + now.system - spent.user - spent.system) / 20
    print(f"CPU of the agent process with {runs} runs that do nothing: {share:.1%} of a core")


def _waiting(run_id: str) -> RunSpec:
    return run_spec(run_id, steps=[{"command": ["sleep", "100000"]}])


def _has_started(plane: ControlPlane, run_id: str) -> bool:
    return any(each.kind is RunReportKind.STARTED for each in plane.reports(run_id))


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GIVE_UP_AFTER_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"nothing came within {GIVE_UP_AFTER_S:g} s")


def _memory(pid: int) -> int:
    resident: int = psutil.Process(pid).memory_info().rss
    return resident


if __name__ == "__main__":
    main()
