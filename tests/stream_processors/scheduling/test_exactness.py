"""A world of agents that lose power, are cut off and start twice: every run that is due happens once, or is told why not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from parallelm.definitions.due_times import due_times
from parallelm.definitions.running import ScheduleForm
from parallelm.schemas.records import CommandKind, RunReportKind, RunState
from parallelm.stream_processors.scheduling.state import OPEN

from .scheduler import MINUTE, START_MS, Scheduler, cron, node

if TYPE_CHECKING:
    from parallelm.schemas.records import AgentCommand, RunTransition

LEASE_MS = 30_000
NAMES = ("a", "b", "c")
CRON = "*/7 * * * *"
NODES = (
    node("etl", schedule=cron(CRON, overlap="queue", missed="run_all")),
    node("train", parents=("etl",), placement="movable", lease="30s", retry={"limit": 1, "delay": "1s"}),
    node("serve", mode="online", placement="movable", lease="30s", parallelism=2),
    node("pinned", mode="online"),
)


@dataclass
class Host:
    """An agent as the contract has it: idempotent by run and attempt, voids late starts, stops movable runs in time."""

    name: str
    inbox: list[AgentCommand] = field(default_factory=list)
    outbox: list[tuple[RunReportKind, AgentCommand, dict[str, object]]] = field(default_factory=list)
    known: set[tuple[str, int]] = field(default_factory=set)
    running: dict[tuple[str, int], AgentCommand] = field(default_factory=dict)
    leased_ms: dict[tuple[str, int], int] = field(default_factory=dict)
    renewals: list[tuple[int, dict[tuple[str, int], AgentCommand]]] = field(default_factory=list)
    """That are on their way: when they were sent, and of what. Reports go another way, and may overtake them."""
    is_cut_off: bool = False


class Agents(RuleBasedStateMachine):
    """Commands and reports take their time; they come twice, and those of different agents in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler()
        self.hosts = {name: Host(name) for name in NAMES}
        self.read = 0
        self.began: Counter[tuple[str, int]] = Counter()
        for name in NAMES:
            self.scheduler.agent(name)
        self.scheduler.apply(*NODES)
        self.scheduler.act("launch")
        self.exchange(set(NAMES), twice=False)
        self.exchange(set(NAMES), twice=False)

    # ---- what agents do -----------------------------------------------------------------------------------------

    def _deliver(self, host: Host) -> None:
        """Commands reach an agent in their order; some come twice."""
        for command in host.inbox:
            key = (command.run_id, command.attempt)
            if command.kind is CommandKind.START and key not in host.known:
                host.known.add(key)
                if self.scheduler.now_ms > command.expires_at_ms:
                    host.outbox.append((RunReportKind.REFUSED, command, {"message": "it came too late"}))
                    continue
                self.began[key] += 1
                host.running[key] = command
                host.leased_ms[key] = self.scheduler.now_ms
                host.outbox.append((RunReportKind.ACCEPTED, command, {}))
                host.outbox.append((RunReportKind.STARTED, command, {"starts": 1}))
            elif command.kind is CommandKind.STOP and key in host.running:
                self._ends(host, key, "stopped")
        host.inbox.clear()

    def _ends(self, host: Host, key: tuple[str, int], outcome: str) -> None:
        command = host.running.pop(key)
        host.outbox.append((RunReportKind.ENDED, command, {"outcome": outcome}))

    def _is_movable(self, command: AgentCommand) -> bool:
        return command.node_id in {"serve", "train"}

    def _send(self, host: Host, *, twice: bool, late: bool) -> None:
        """Reports reach the broker, and renew leases by that; late renewals do with what is sent next."""
        for kind, command, more in host.outbox * (2 if twice else 1):
            self.scheduler.report(kind, command, **more)
        host.outbox.clear()
        leased = {key: each for key, each in host.running.items() if self._is_movable(each)}
        arrived = host.renewals
        host.renewals = [(self.scheduler.now_ms, leased)] if leased else []
        if not late:
            arrived, host.renewals = arrived + host.renewals, []
        for sent_ms, of in arrived:
            runs, attempts = zip(*of, strict=True)
            some = next(iter(of.values()))
            self.scheduler.report(
                RunReportKind.RENEWED, some, run_id="", node_id="", attempt=0, runs=runs, attempts=attempts
            )
            for key in of:
                host.leased_ms[key] = max(host.leased_ms[key], sent_ms)

    def _route(self) -> None:
        """New commands go to their agents' inboxes."""
        for command in self.scheduler.commands[self.read :]:
            self.hosts[command.agent_id].inbox.append(command)
        self.read = len(self.scheduler.commands)

    # ---- what happens -------------------------------------------------------------------------------------------

    @rule(names=st.sets(st.sampled_from(NAMES)), twice=st.booleans(), late=st.booleans())
    def exchange(self, names: set[str], *, twice: bool, late: bool = False) -> None:
        self._route()
        for name in sorted(names):
            host = self.hosts[name]
            if not host.is_cut_off:
                host.inbox += host.inbox * twice
                self._deliver(host)
                self._send(host, twice=twice, late=late)

    @rule(
        later_ms=st.sampled_from((1_000, 2_000, 5_000, 20_000)),
        slow=st.sampled_from((None, *NAMES)),
        twice=st.booleans(),
        late=st.booleans(),
    )
    def time_passes(self, later_ms: int, slow: str | None, *, twice: bool, late: bool = False) -> None:
        """Agents speak, but for a slow one, whose commands and reports wait."""
        self.exchange({*NAMES} - {slow}, twice=twice, late=late)
        self.scheduler.tick(later_ms)
        for host in self.hosts.values():
            for key, command in list(host.running.items()):
                if self._is_movable(command) and self.scheduler.now_ms - host.leased_ms[key] >= LEASE_MS:
                    self._ends(host, key, "lease_lost")
        self.exchange({*NAMES} - {slow}, twice=twice, late=late)

    @rule(minutes=st.integers(1, 40))
    def nobody_looks(self, minutes: int) -> None:
        """The control plane is away; agents go on, and renew their leases into the log."""
        for host in self.hosts.values():
            for key, command in list(host.running.items()):
                if self._is_movable(command):
                    self._ends(host, key, "lease_lost")
        self.scheduler.restart()
        self.scheduler.tick(minutes * MINUTE)
        self._route()

    @rule(name=st.sampled_from(NAMES))
    def cut_off(self, name: str) -> None:
        self.hosts[name].is_cut_off = True
        self.scheduler.agent(name, heard_of=False)

    @rule(name=st.sampled_from(NAMES))
    def comes_back(self, name: str) -> None:
        self.hosts[name].is_cut_off = False
        self.scheduler.agent(name, heard_of=True)

    @rule(name=st.sampled_from(NAMES), drains=st.booleans())
    def drain(self, name: str, *, drains: bool) -> None:
        self.scheduler.agent(name, state="draining" if drains else "ready")

    @rule(
        index=st.integers(0, 9),
        outcome=st.sampled_from(("succeeded", "succeeded", "failed", "timed_out", "lost")),
    )
    def a_program_ends(self, index: int, outcome: str) -> None:
        running = [(host, key) for host in self.hosts.values() for key in host.running]
        if running:
            host, key = running[index % len(running)]
            self._ends(host, key, outcome)

    @rule(name=st.sampled_from(NAMES))
    def renewals_come_after_the_ends_of_their_attempts(self, name: str) -> None:
        """The next attempts begin at once, at the same agent: it is the only one that takes runs."""
        for each in NAMES:
            self.drain(each, drains=each != name)
        host = self.hosts[name]
        self.exchange({name}, twice=False, late=True)
        for key, command in list(host.running.items()):
            if self._is_movable(command):
                self._ends(host, key, "lease_lost")
        self.exchange({name}, twice=False)

    @rule()
    def restart(self) -> None:
        self.scheduler.restart()

    @rule(
        action=st.sampled_from(
            ("launch", "launch", "pause", "resume", "resume", "run_node", "run_node", "stop")
        )
    )
    def a_person_acts(self, action: str) -> None:
        self.scheduler.act(action, "train" if action == "run_node" else "")
        self._route()

    # ---- what must hold -----------------------------------------------------------------------------------------

    @invariant()
    def no_attempt_begins_twice(self) -> None:
        assert all(count == 1 for count in self.began.values())

    @invariant()
    def no_run_runs_in_two_places(self) -> None:
        running = Counter(run_id for host in self.hosts.values() for run_id, _ in host.running)
        assert all(count == 1 for count in running.values()), running

    @invariant()
    def no_lease_ends_before_that_of_a_start_that_is_on_its_way(self) -> None:
        for command in self.scheduler.starts():
            host = self.hosts[command.agent_id]
            if self._is_movable(command) and (command.run_id, command.attempt) not in host.known:
                run = self.scheduler.runs(command.node_id).run(command.run_id)
                if run is not None and run.attempt == command.attempt and run.lease_ends_ms:
                    assert run.lease_ends_ms >= command.expires_at_ms + LEASE_MS, run

    @invariant()
    def no_instance_of_a_service_is_up_twice(self) -> None:
        last = {each.run_id: each for each in self.scheduler.transitions if each.run_id}
        up = Counter(
            (last[run_id].node_id, last[run_id].instance)
            for host in self.hosts.values()
            for run_id, _ in host.running
            if last[run_id].node_id in {"serve", "pinned"}
        )
        assert all(count == 1 for count in up.values()), up

    @invariant()
    def every_transition_has_an_id_of_its_own(self) -> None:
        ids = [each.transition_id for each in self.scheduler.transitions]
        assert len(set(ids)) == len(ids)

    @invariant()
    def an_ended_run_changes_no_more(self) -> None:
        ended: set[str] = set()
        for each in self.scheduler.transitions:
            assert each.run_id not in ended or not each.run_id
            if each.run_id and each.state not in OPEN and each.state is not RunState.REFUSED:
                ended.add(each.run_id)

    def teardown(self) -> None:
        """Everything comes back, and time goes on: all that was due has happened or was told, and nothing is left over."""
        for name in NAMES:
            self.comes_back(name)
            self.scheduler.agent(name, state="ready")
        for _ in range(60):
            self.exchange(set(NAMES), twice=False)
            self.time_passes(2_000, None, twice=False)
            for host in self.hosts.values():
                for key, command in list(host.running.items()):
                    if command.node_id in {"etl", "train"}:
                        self._ends(host, key, "succeeded")
        self._everything_was_told()
        self.scheduler.act("stop")
        for _ in range(40):
            self.exchange(set(NAMES), twice=False)
            self.time_passes(2_000, None, twice=False)
        assert self.scheduler.open_runs() == set()
        assert not any(host.running for host in self.hosts.values())

    def _everything_was_told(self) -> None:
        """Each due time while the MLApp was launched or paused is one run or one that was missed."""
        told = Counter(each.due_at_ms for each in self._first_of_each_run() if each.trigger == "schedule")
        assert all(count == 1 for count in told.values())
        life, since_ms = "", START_MS
        expected: set[int] = set()
        schedule = ScheduleForm(cron=CRON)
        for state, now_ms in [*self._lives(), ("", self.scheduler.now_ms)]:
            if life in {"launched", "resumed"} or (life, state) == ("paused", "resumed"):
                expected |= set(due_times(schedule, since_ms, now_ms))
            life, since_ms = state, now_ms
        assert expected <= set(told), sorted(expected - set(told))

    def _lives(self) -> list[tuple[str, int]]:
        """What became of the MLApp, and when."""
        return [
            (each.state.value, each.event_time_ms)
            for each in self.scheduler.transitions
            if not each.run_id and each.state is not RunState.REFUSED
        ]

    def _first_of_each_run(self) -> list[RunTransition]:
        seen: dict[str, RunTransition] = {}
        for each in self.scheduler.transitions:
            if each.run_id:
                seen.setdefault(each.run_id, each)
        return list(seen.values())


TestAgents = Agents.TestCase
# Shrinking takes minutes: the seed is printed.
TestAgents.settings = settings(
    max_examples=25, stateful_step_count=50, deadline=None, print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip
