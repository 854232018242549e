"""Time from a launch, and from a start command, to the report that the program runs; memory of an agent with 200 runs.

A launch goes from a person's action by the processors and the agent to the transition that its program runs; of a start
command the processors have no part.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from parallelm.mcenter.local_stack import LocalStack
from parallelm.operations.actions import new_action
from parallelm.schemas.records import RunReportKind, RunState
from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.topics import ACTIONS, RUNS
from tests.agent.control_plane import ControlPlane, run_spec
from tests.people import person
from tests.service_process import ServiceProcess
from tests.stream_processors.live import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.definitions.run_spec import RunSpec

GIVE_UP_AFTER_S = 60.0
PROGRAM = "sleep"
MLAPP = """\
mlapp: app
nodes:
  - {id: serve, type: auxiliary, mode: online, pipeline: sleep 100000}
"""


def main() -> None:
    """Print percentiles of the time, and the agent's memory before and with all runs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--launches", type=int, default=100, help="0: only the agent is measured")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LocalStack(folder / "stack", services=("kafka",)) as stack:
            create_topics(stack.settings)
            if asked.launches:
                processors = ServiceProcess(folder / "processors", "processors", settings=stack.settings)
                with processors, _agent(stack.settings, folder, "host-b"):
                    _measure_launches(Cluster(stack.settings), asked.launches)
            with _agent(stack.settings, folder, "host-a") as agent:
                assert agent.process is not None  # noqa: S101 - it was started
                _measure(ControlPlane(stack.settings), agent.process.pid, folder / "host-a", asked.runs)


def _agent(settings: Settings, folder: Path, name: str) -> ServiceProcess:
    options = ("--name", name, "--data", str(folder / name / "data"), "--runs-end-with-parent")
    return ServiceProcess(folder / name, "agent", *options, settings=settings)


def _measure_launches(cluster: Cluster, launches: int) -> None:
    mlapps = [f"mlapp-{number}" for number in range(launches)]
    for mlapp in mlapps:
        cluster.mlapp = mlapp
        cluster.apply(MLAPP)
    took_ms = []
    for cluster.mlapp in mlapps:
        began = time.perf_counter()
        action = new_action("launch", cluster.mlapp, who=person("benchmark"))
        cluster.send_bytes(ACTIONS, cluster.mlapp.encode(), cluster.codec.encode(action))
        cluster.flush()
        _await(
            lambda: any(each.state is RunState.RUNNING for each in cluster.read(RUNS)),
            lambda: [(each.state.value, each.reason) for each in cluster.read(RUNS)],
        )
        took_ms.append((time.perf_counter() - began) * 1000)
    print(f"launch to transition `running`: {_percentiles(took_ms)}")
    cluster.close()


def _measure(plane: ControlPlane, pid: int, folder: Path, runs: int) -> None:
    _await(lambda: bool(plane.states()))
    before = _memory(pid)
    took_ms = []
    for number in range(runs):
        began = time.perf_counter()
        plane.start(f"r{number}", spec=_waiting(f"r{number}"))
        _await(partial(_has_started, plane, f"r{number}"))
        took_ms.append((time.perf_counter() - began) * 1000)
    print(f"start command to report `started`: {_percentiles(took_ms)}")
    print(f"agent process: {before / 1e6:.0f} MB without runs, {_memory(pid) / 1e6:.0f} MB with {runs}")
    print(f"agent, keepers and what they are forked from: {_memory_in_all(folder) / 1e6:.0f} MB")
    process, spent = psutil.Process(pid), psutil.Process(pid).cpu_times()
    time.sleep(20)
    now = process.cpu_times()
    share = (now.user + now.system - spent.user - spent.system) / 20
    print(f"CPU of the agent process with {runs} runs that do nothing: {share:.1%} of a core")


def _percentiles(took_ms: list[float]) -> str:
    cuts = statistics.quantiles(took_ms, n=100)
    return f"p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, at most {max(took_ms):.0f} ms, of {len(took_ms)} one by one"


def _waiting(run_id: str) -> RunSpec:
    return run_spec(run_id, steps=[{"command": [PROGRAM, "100000"]}])


def _has_started(plane: ControlPlane, run_id: str) -> bool:
    return any(each.kind is RunReportKind.STARTED for each in plane.reports(run_id))


def _await(condition: Callable[[], bool], what: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + GIVE_UP_AFTER_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"nothing came within {GIVE_UP_AFTER_S:g} s {what()}")


def _memory(pid: int) -> int:
    own: int = psutil.Process(pid).memory_full_info().pss
    return own


def _memory_in_all(folder: Path) -> int:
    """Of all processes that were started for the agent's data folder: keepers outlive the agent, and are not below it."""
    return sum(
        process.memory_full_info().pss
        for process in psutil.process_iter(["cmdline"])  # None where a process has just ended
        if any(str(folder) in part for part in process.info["cmdline"] or ())
    )


if __name__ == "__main__":
    main()
