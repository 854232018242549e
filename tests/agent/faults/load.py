"""What the hosts of the fault test are to run, and what has become of it.

Programs write a line into a file when they begin and when they end, so that what ran is known without asking anybody.
Each holds a lock while it runs: of its run, or of the instance of a service. The kernel frees it with its last process.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from parallelm.operations.actions import new_action
from parallelm.operations.runs import decide_runs
from parallelm.schemas.records import RunState
from parallelm.schemas.topic_reader import reader_config
from parallelm.schemas.topics import ACTIONS, AGENT_COMMANDS, DEAD_LETTERS, RUN_REPORTS, RUNS
from parallelm.schemas.well_known import BY_SCHEDULE
from tests.people import person

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.schemas.records import RunTransition
    from tests.stream_processors.live import Cluster

LEASE_S = 4.0
MINUTE_MS = 60_000
ON_EVENT = ("at-once", "in-turn", "only-once", "moves")
"""Nodes whose runs are due by each event."""
SERVICES = {"serves": 1, "serves-anywhere": 2}
"""Online nodes and their instances."""
ENDS = {RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED, RunState.MISSED, RunState.LOST}
_OPEN = {RunState.WAITING, RunState.ASSIGNED, RunState.RUNNING, RunState.UNREACHABLE, RunState.STOPPING}
_RESENT = 200
"""Commands and reports that may come again."""

# The schedule of the first nodes is only there to let runs overlap: it is due once a year.
DEFINITION = """\
mlapp: {mlapp}
nodes:
  - id: at-once
    type: auxiliary
    pipeline: {job}0.1
    schedule: {{cron: "7 7 1 1 *", overlap: allow}}
    triggers: [{{event: Due}}]
    retry: {{limit: 20, delay: 500ms, backoff: 1}}
  - id: in-turn
    type: auxiliary
    pipeline: {job}0.3
    triggers: [{{event: Due}}]
    retry: {{limit: 20, delay: 500ms, backoff: 1}}
  - id: follows
    type: auxiliary
    pipeline: {job}0
    parents: [in-turn]
    retry: {{limit: 20, delay: 500ms, backoff: 1}}
  - id: only-once
    type: auxiliary
    pipeline: {job}1
    schedule: {{cron: "7 7 1 1 *", overlap: allow}}
    triggers: [{{event: Due}}]
  - id: moves
    type: auxiliary
    pipeline: {job}2
    placement: movable
    lease: 4s
    stop_grace: 500ms
    schedule: {{cron: "7 7 1 1 *", overlap: allow}}
    triggers: [{{event: Due}}]
    retry: {{limit: 20, delay: 500ms, backoff: 1}}
  - id: by-the-clock
    type: auxiliary
    pipeline: {job}0.2
    schedule: {{cron: "* * * * *", missed: run_all, deadline: 45s}}
    retry: {{limit: 20, delay: 500ms, backoff: 1}}
  - {{id: serves, type: auxiliary, mode: online, pipeline: {service}, stop_grace: 500ms}}
  - id: serves-anywhere
    type: auxiliary
    mode: online
    pipeline: {service}
    parallelism: 2
    placement: movable
    lease: 4s
    stop_grace: 500ms
"""
_JOB = "exec 9>{folder}/locks/$MCENTER_RUN_ID; {begin} sleep $1; echo end $MCENTER_RUN_ID $MCENTER_RUN_ATTEMPT >> {folder}/lines"
_SERVICE = "exec 9>{folder}/locks/$PM_PIPELINE_INSTANCE_ID; {begin} exec sleep 100000"
_BEGIN = (
    "flock -n 9 || echo overlap $MCENTER_RUN_ID $MCENTER_RUN_ATTEMPT $PM_WORKFLOW_NODE_ID >> {folder}/lines; "
    "echo begin $MCENTER_RUN_ID $MCENTER_RUN_ATTEMPT >> {folder}/lines;"
)


@dataclass
class Load:
    """Some MLApps, and the events by which their runs are due."""

    cluster: Cluster
    folder: Path
    mlapps: tuple[str, ...]
    events: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Ids by MLApp."""

    def begin(self) -> None:
        """Apply the definitions, and launch."""
        (self.folder / "locks").mkdir()
        begin = _BEGIN.format(folder=self.folder)
        job, service = self.folder / "job", self.folder / "service"
        job.write_text(_JOB.format(folder=self.folder, begin=begin))
        service.write_text(_SERVICE.format(folder=self.folder, begin=begin))
        for mlapp in self.mlapps:
            self.cluster.mlapp = mlapp
            self.cluster.apply(DEFINITION.format(mlapp=mlapp, job=f"sh {job} ", service=f"sh {service}"))
            self.act("launch", mlapp)

    def act(self, action: str, mlapp: str) -> None:
        """As a person does, without waiting for the answer."""
        record = new_action(action, mlapp, who=person("ann"))
        self.cluster.send_bytes(ACTIONS, mlapp.encode(), self.cluster.codec.encode(record))
        self.cluster.flush()

    def step(self, *mlapps: str) -> None:
        """Runs are due in these MLApps, or in all."""
        for mlapp in mlapps or self.mlapps:
            self.events[mlapp].append(self.cluster.event(0, "Due", mlapp=mlapp))
        self.cluster.producer.poll(0)

    def stop(self) -> None:
        """Stop all MLApps."""
        for mlapp in self.mlapps:
            decide_runs(self.cluster.settings, "stop", mlapp, who=person("ann"), timeout_s=120)


class Observed:
    """What the topics and the programs have said so far, and what is wrong with it."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.runs: dict[str, list[RunTransition]] = defaultdict(list)
        self.ids: set[str] = set()
        self.wrong: list[str] = []
        self.resent: dict[str, list[tuple[bytes, bytes]]] = {"commands": [], "reports": []}
        """Key and value of the newest."""
        self._cluster = load.cluster
        self._topics = {
            self._cluster.name(topic): topic for topic in (RUNS, DEAD_LETTERS, AGENT_COMMANDS, RUN_REPORTS)
        }
        self._consumer = Consumer(reader_config(self._cluster.settings.kafka, "fault-test"))
        self._consumer.assign(
            [
                TopicPartition(name, partition, OFFSET_BEGINNING)
                for name, topic in self._topics.items()
                for partition in range(topic.partitions)
            ]
        )

    def close(self) -> None:
        self._consumer.close()

    def poll(self) -> None:
        """Take what has come."""
        while messages := self._consumer.consume(2_000, timeout=0.02):
            for message in messages:
                if message.error() is None:
                    self._absorb(message)

    def last(self, run_id: str) -> RunTransition:
        return self.runs[run_id][-1]

    def open(self) -> list[RunTransition]:
        """The newest of each run that goes on."""
        return [each[-1] for each in self.runs.values() if each[-1].state in _OPEN]

    def of_node(self, mlapp: str, node: str) -> list[RunTransition]:
        """The newest of each of its runs."""
        found = (each[-1] for each in self.runs.values())
        return [each for each in found if (each.mlapp_id, each.node_id) == (mlapp, node)]

    def services_up(self) -> bool:
        """Whether every service has all its instances."""
        up = Counter((each.mlapp_id, each.node_id) for each in self.open() if each.state is RunState.RUNNING)
        return all(up[mlapp, node] == many for mlapp in self.load.mlapps for node, many in SERVICES.items())

    def ended_of_event(self, mlapp: str, event: str, node: str) -> bool:
        """Whether the node's run of an event is over."""
        return any(each.trigger_id == event and each.state in ENDS for each in self.of_node(mlapp, node))

    def _absorb(self, message: Any) -> None:
        topic = self._topics[message.topic()]
        if topic in (AGENT_COMMANDS, RUN_REPORTS):
            newest = self.resent["commands" if topic is AGENT_COMMANDS else "reports"]
            newest.append((message.key(), message.value()))
            del newest[:-_RESENT]
            return
        record: Any = self._cluster.codec.decode(message.value(), topic.record)
        if topic is DEAD_LETTERS:
            self.wrong.append(f"a dead letter: {record}")
            return
        if record.transition_id in self.ids:
            self.wrong.append(f"a transition was written twice: {record}")
        self.ids.add(record.transition_id)
        if record.run_id:
            self._moved(self.runs[record.run_id], record)

    def _moved(self, before: list[RunTransition], now: RunTransition) -> None:
        """States go forward only: each follows from the one before, attempts count up, an end is an end."""
        last = before[-1] if before else None
        was = last.state if last else RunState.UNKNOWN
        is_next = now.attempt == (last.attempt if last else 1) or (
            last is not None and now.attempt == last.attempt + 1 and now.state is RunState.WAITING
        )
        if now.previous_state is not was or was in ENDS or not is_next:
            self.wrong.append(f"{was} (attempt {last.attempt if last else 0}) -> {now}")
        if (
            now.state in {RunState.MISSED, RunState.LOST, RunState.FAILED, RunState.STOPPED}
            and not now.reason
        ):
            self.wrong.append(f"no reason: {now}")
        before.append(now)

    # ---- what must hold -----------------------------------------------------------------------------------------

    def lines(self) -> Counter[tuple[str, ...]]:
        """What programs have written, and how often."""
        path = self.load.folder / "lines"
        return (
            Counter(tuple(line.split()) for line in path.read_text().splitlines())
            if path.exists()
            else Counter()
        )

    def broken(self) -> list[str]:
        """What must not be at any time, and is."""
        self.poll()
        found = list(self.wrong)
        assigned = {
            (each.run_id, str(each.attempt))
            for steps in self.runs.values()
            for each in steps
            if each.state is RunState.ASSIGNED
        }
        lines = self.lines()
        for (what, run_id, attempt, *_), many in lines.items():
            if what == "overlap":
                found.append(f"two programs of run {run_id} ran at once, since attempt {attempt}")
            elif many != 1:
                found.append(f"run {run_id} attempt {attempt}: {many} times {what}")
            elif (run_id, attempt) not in assigned and run_id in self.runs:
                found.append(f"run {run_id} attempt {attempt} has begun, and no agent was told to")
        begun = Counter(run_id for what, run_id, *_ in lines if what == "begin")
        for run_id, steps in self.runs.items():
            found += self._broken_of(run_id, steps, lines, begun[run_id])
        return found

    def _broken_of(
        self, run_id: str, steps: list[RunTransition], lines: Counter[tuple[str, ...]], begun: int
    ) -> list[str]:
        last = steps[-1]
        told = [f"{each.attempt} {each.state.value} {each.agent_id}: {each.reason}" for each in steps]
        if last.state is RunState.MISSED and begun:
            return [f"run {run_id} is told as missed, and has begun: {told}"]
        if last.state is RunState.SUCCEEDED and ("end", run_id, str(last.attempt)) not in lines:
            return [f"run {run_id} is told to have succeeded, and its program has not ended: {told}"]
        # Of an agent that was installed anew nobody can know whether it had begun what it never told of.
        unknown = sum("and never began it" in each.reason for each in steps)
        if last.node_id == "only-once" and begun > 1 + unknown:
            return [f"run {run_id}, which is not to be tried again, has begun {begun} times: {told}"]
        return []

    def missing(self) -> list[str]:
        """What was due, and did not come to an end; services that are not up."""
        found = [
            f"{each.mlapp_id}/{each.node_id} run {each.run_id}: {each.state} on {each.agent_id!r}: {each.reason}"
            for each in self.open()
            if each.node_id not in SERVICES
        ]
        for mlapp in self.load.mlapps:
            causes = {
                node: Counter(each.trigger_id for each in self.of_node(mlapp, node)) for node in ON_EVENT
            }
            for node, known in causes.items():
                wanted = Counter(self.load.events[mlapp])
                if known != wanted:
                    found.append(
                        f"{mlapp}/{node}: not once for each event: {(wanted - known) + (known - wanted)}"
                    )
            followed = {each.trigger_id for each in self.of_node(mlapp, "follows")}
            succeeded = {
                f"{each.trigger}:{each.trigger_id}"
                for each in self.of_node(mlapp, "in-turn")
                if each.state is RunState.SUCCEEDED
            }
            if followed != succeeded:
                found.append(f"{mlapp}/follows: {followed ^ succeeded}")
        if not self.services_up():
            found.append(f"services: {[each for each in self.open() if each.node_id in SERVICES]}")
        return found

    def scheduled(self) -> list[str]:
        """Minutes without exactly one run, between the first and the last that had one."""
        found = []
        for mlapp in self.load.mlapps:
            due = sorted(
                each.due_at_ms for each in self.of_node(mlapp, "by-the-clock") if each.trigger == BY_SCHEDULE
            )
            found += [
                f"{mlapp}: {first} {then}" for first, then in pairwise(due) if then - first != MINUTE_MS
            ]
        return found

    def running(self) -> set[str]:
        """``RUN.ATTEMPT`` of all that is told to run."""
        return {f"{each.run_id}.{each.attempt}" for each in self.open() if each.state is RunState.RUNNING}
