"""MLApps scheduled on one core by a simulated clock: decisions a second, memory, the longest tick, against a plain cronsim loop.

python -m benchmarks.scheduling --mlapps 10000 --hours 24
python -m benchmarks.scheduling --mlapps 10000 --hours 2 --on-the-hour    all MLApps are due by one tick

Seconds are those of the CPU.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cronsim import CronSim

from parallelm.definitions.running import RunningForm
from parallelm.schemas.records import (
    NO_RECORD,
    AgentCommand,
    AgentState,
    Heartbeat,
    MLAppDefinition,
    ModelPolicy,
    Node,
    Policy,
    RunReport,
    RunReportKind,
    RunTransition,
    UserAction,
)
from parallelm.stream_processors.agent_directory import KnownAgents
from parallelm.stream_processors.arrival import Arrival
from parallelm.stream_processors.run_routes import KINDS, NODE_RUNS_OF, RunRoutes
from parallelm.stream_processors.runtime.stored_state import StateStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parallelm.stream_processors.scheduling.agents import Agents

START_MS = 1_767_225_600_000
TICK_MS = 2_000
HOUR_MS = 3_600_000
KINDS_OF_RECORDS = (RunReportKind.ACCEPTED, RunReportKind.STARTED, RunReportKind.ENDED)


def on_the_hour(_: int) -> str:
    """What people write most."""
    return "0 * * * *"


def spread(number: int) -> str:
    """Of twenty MLApps one every five minutes, fourteen every hour, five every day."""
    kind, minute = number % 20, number % 60
    if kind == 0:
        return f"{number % 5}-59/5 * * * *"
    return f"{minute} * * * *" if kind < 15 else f"{minute} {number % 24} * * *"


@dataclass
class World:
    """All MLApps of one core, and agents whose runs succeed at once."""

    schedule_of: Callable[[int], str]
    agents: int
    store: StateStore = field(default_factory=lambda: StateStore(KINDS))
    now_ms: int = START_MS
    counts: Counter[str] = field(default_factory=Counter)
    longest_ms: float = 0.0
    longest_reports_ms: float = 0.0

    def __post_init__(self) -> None:
        self.known = KnownAgents()
        for agent_id in self._agent_ids():
            self.known.registered(agent_id, _state(agent_id), self.now_ms)
        self.routes = RunRoutes(self)

    async def ready(self) -> None:
        """Agents are known."""

    def view(self, now_ms: int) -> Agents:
        """Agents as they were heard of."""
        return self.known.view(now_ms)

    def launch(self, number: int) -> None:
        """Apply an MLApp and launch it."""
        mlapp_id = f"mlapp-{number}"
        running = RunningForm.model_validate(
            {"steps": [{"command": "python fit.py"}], "schedule": {"cron": self.schedule_of(number)}}
        )
        node = Node(
            node_id="train", name="train", type="model_producer", mode="offline", schedule="", parents=(), pipeline="",
            consumes=(), running_json=running.model_dump_json(exclude_defaults=True),
        )  # fmt: skip
        policy = Policy(model_policy=ModelPolicy.MANUAL, health_threshold=0.5, canary_threshold=0.5, accept_timeout_ms=0)  # fmt: skip
        record = MLAppDefinition(
            event_time_ms=self.now_ms, mlapp_id=mlapp_id, name=mlapp_id, description="", version=1, applied_by="",
            nodes=(node,), policy=policy, rules=(), source_yaml="",
        )  # fmt: skip
        action = UserAction(
            event_time_ms=self.now_ms, action_id=f"launch-{number}", mlapp_id=mlapp_id, who="", authenticated_by="",
            action="launch", node_id="", model_id="", target="", comment="", parameters={},
        )  # fmt: skip
        self._take(self.routes.on_definition(self.store, mlapp_id, record, self._at()))
        self._take(self.routes.on_action(self.store, mlapp_id, action, self._at()))

    def tick(self) -> None:
        """One tick, what agents report of it, and one write of the state for each of the two."""
        self.now_ms += TICK_MS
        for agent_id in self._agent_ids():
            self.known.heard(_beat(agent_id), self.now_ms)
        began = time.process_time()
        due = [key for key, _ in self.store.due(self.now_ms) if key.kind == NODE_RUNS_OF]
        commands: list[AgentCommand] = []
        for mlapp_id, node_ids in self.routes.to_judge(self.store, due, self._at()).items():
            commands += self._take(self.routes.on_time(self.store, mlapp_id, node_ids, self._at()))
        self._commit()
        ticked = time.process_time()
        for kind, command in itertools.product(KINDS_OF_RECORDS, commands):
            report = RunReport(
                event_time_ms=self.now_ms, mlapp_id=command.mlapp_id, node_id=command.node_id, run_id=command.run_id,
                attempt=command.attempt, agent_id=command.agent_id, epoch=command.epoch, seq=0, kind=kind,
                outcome="succeeded" if kind is RunReportKind.ENDED else "", starts=1,
            )  # fmt: skip
            self._take(self.routes.on_report(self.store, command.mlapp_id, report, self._at()))
            self.counts["reports"] += 1
        self._commit()
        self.longest_ms = max(self.longest_ms, (ticked - began) * 1_000)
        self.longest_reports_ms = max(self.longest_reports_ms, (time.process_time() - ticked) * 1_000)

    def _agent_ids(self) -> list[str]:
        return [f"agent-{number}" for number in range(self.agents)]

    def _at(self) -> Arrival:
        return Arrival(NO_RECORD, self.now_ms, self.now_ms)

    def _take(self, sent: Iterable[RunTransition | AgentCommand]) -> list[AgentCommand]:
        commands = []
        for each in sent:
            if isinstance(each, AgentCommand):
                commands.append(each)
            else:
                self.counts[each.state.value] += 1
        self.counts["commands"] += len(commands)
        return commands

    def _commit(self) -> None:
        self.store.changes()
        self.store.commit()


def _state(agent_id: str) -> AgentState:
    return AgentState(
        event_time_ms=START_MS, agent_id=agent_id, hostname=agent_id, version="", labels={"zone": "a"}, pipelines=[],
        state="ready", epoch=1, installation_id="", address="", cpus=8, memory_bytes=1 << 34, runners=["process"],
    )  # fmt: skip


def _beat(agent_id: str) -> Heartbeat:
    return Heartbeat(
        event_time_ms=START_MS, agent_id=agent_id, hostname=agent_id, seq=0, epoch=1, installation_id="",
        state="ready", runs=0,
    )  # fmt: skip


def _plain_loop_s(schedule_of: Callable[[int], str], mlapps: int, hours: int) -> tuple[float, int]:
    """Seconds to find the same due times with cronsim alone, and their count."""
    began, count = time.process_time(), 0
    start = datetime.fromtimestamp(START_MS / 1_000, UTC)
    end = START_MS / 1_000 + hours * 3_600
    for number in range(mlapps):
        for moment in CronSim(schedule_of(number), start):
            if moment.timestamp() > end:
                break
            count += 1
    return time.process_time() - began, count


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def main() -> None:
    """Schedule a day, or part of it, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mlapps", type=int, default=10_000)
    parser.add_argument("--hours", type=int, default=2)
    parser.add_argument("--on-the-hour", action="store_true", help="all are due at once")
    parser.add_argument("--agents", type=int, default=100)
    options = parser.parse_args()
    schedule_of = on_the_hour if options.on_the_hour else spread
    world, before_mb = World(schedule_of, options.agents), _memory_mb()
    began = time.process_time()
    for number in range(options.mlapps):
        world.launch(number)
    world._commit()  # noqa: SLF001 - the end of one large batch
    launched_s = time.process_time() - began
    world.counts.clear()
    began = time.process_time()
    for _ in range(options.hours * HOUR_MS // TICK_MS):
        world.tick()
    busy_s = time.process_time() - began
    plain_s, due = _plain_loop_s(schedule_of, options.mlapps, options.hours)
    counts = world.counts
    decisions = sum(counts.values()) - counts["reports"] - counts["commands"]
    assert counts["assigned"] == counts["succeeded"] == due, counts  # noqa: S101 - else the figures say nothing
    print(f"{options.mlapps} MLApps applied and launched in {launched_s:.1f} s")
    print(
        f"{options.hours} h of schedules: {due} runs, {decisions} transitions, {counts['commands']} commands in {busy_s:.1f} s of one core"
    )
    print(f"{decisions / busy_s:,.0f} decisions/s, {busy_s / (options.hours * 3_600):.2%} of the core's time")
    print(
        f"longest tick: {world.longest_ms:.0f} ms; most reports that followed one: {world.longest_reports_ms:.0f} ms"
    )
    print(f"memory: {_memory_mb() - before_mb:.0f} MB above {before_mb:.0f} MB")
    print(
        f"plain cronsim loop for the same due times: {plain_s:.1f} s; the scheduler takes {busy_s / plain_s:.1f} times as long"
    )


if __name__ == "__main__":
    main()
