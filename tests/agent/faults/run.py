"""One run of the agents' fault test: a broker, a control plane, hosts, their load, and what happens to them."""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.schemas.topics import AGENT_COMMANDS, RUN_REPORTS
from tests.service_process import ServiceProcess
from tests.sinks.faults.small_disk import filled
from tests.stream_processors.faults.run import broker_pid
from tests.waiting import wait_for

from .load import LEASE_S, MINUTE_MS, ON_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.mcenter.local_stack import LocalStack
    from tests.stream_processors.faults.fleet import Fleet

    from .host import Host
    from .load import Load, Observed

HANDLED_S = 180.0
"""Until what was due after a fault has ended: far more than it takes, for machines with other things to do."""
_STEP_S = 1.0
_CLOCKS_S = (-7_200, -300, -90, 90, 300, 7_200, 0)
"""By how much a host's clock may be wrong."""
_SILENT_S = 20.0
"""An agent that was not heard of for so long is told to be unreachable."""


@dataclass
class Run:
    """Faults, and the times until what was due after each of them had run."""

    seed: int
    stack: LocalStack | None
    """A broker of its own; None: it is left alone."""
    fleet: Fleet
    hosts: list[Host]
    load: Load
    observed: Observed
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    rounds: int = 0
    left_out: list[str] = field(default_factory=list)
    """Kinds of faults that cannot be made here, with the reason."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.wanted = list(self.hosts)
        """Those whose agents are to run."""
        self._stepped_at = 0.0
        self._launched_ms = 0.0

    def start(self) -> None:
        for host in self.hosts:
            host.start(wait=False)
        self.fleet.start(self.fleet.static[0])
        self.load.begin()
        for host in self.hosts:
            host.wait_ready()
        # Events and launches are on different topics: one before the launch would make nothing due.
        wait_for(
            lambda: (self.observed.poll(), self.observed.services_up())[1],
            lambda: self._what("the launch"),
            HANDLED_S,
        )
        self._launched_ms = time.time() * 1000
        self.settle("the start")

    def round(self, fault: Callable[[], str]) -> None:
        """The load goes on before the fault and during it; afterwards what is due runs, and nothing is wrong."""
        self.work(self.chance.uniform(0.2, 1.5))
        began = time.monotonic()
        kind = fault()
        lasted = time.monotonic() - began
        self.settle(kind)
        self.rounds += 1
        took = self.seconds[kind][-1]
        sys.stdout.write(
            f"{time.strftime('%X')} {self.rounds}. {kind} ({lasted:.1f} s): right after {took:.1f} s\n"
        )
        sys.stdout.flush()

    def work(self, seconds: float) -> None:
        """The load goes on for a while."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if time.monotonic() - self._stepped_at > _STEP_S:
                self._stepped_at = time.monotonic()
                self.load.step(self.chance.choice(self.load.mlapps))
            self._supervise()
            self.observed.poll()
            time.sleep(0.05)

    def settle(self, kind: str) -> None:
        """Wait until what is due from now on has run, services are up, and nothing runs that must not."""
        began = time.monotonic()
        self.load.step()
        self.load.cluster.flush()
        marks = {mlapp: events[-1] for mlapp, events in self.load.events.items()}

        def is_right() -> bool:
            self._supervise()
            self.observed.poll()
            has_run = all(
                self.observed.ended_of_event(mlapp, mark, node)
                for mlapp, mark in marks.items()
                for node in ON_EVENT
            )
            return has_run and self.observed.services_up() and not self._left_over()

        wait_for(is_right, lambda: self._what(kind), HANDLED_S)
        self.seconds[kind].append(time.monotonic() - began)
        assert not self.observed.broken(), self._what(kind)

    def _left_over(self) -> set[str]:
        """Programs of attempts that are over."""
        alive = {each for host in self.hosts for each in host.attempts()}
        self.observed.poll()
        open_runs = {f"{each.run_id}.{each.attempt}" for each in self.observed.open()}
        return alive - open_runs

    def _what(self, kind: str) -> str:
        logs = "\n".join(f"--- {host.name}\n{host.log()[-3000:]}" for host in self.hosts)
        return (
            f"work goes on after {kind} (seed {self.seed}, round {self.rounds + 1}): {self.observed.broken()}\n"
            f"left over: {self._left_over()}\n{'; '.join(self.observed.missing())}\n{self.fleet.logs()}\n{logs}"
        )

    def _supervise(self) -> None:
        self.fleet.supervise()
        for host in self.wanted:
            host.supervise()

    # ---- faults: each returns its name ------------------------------------------------------------------------------

    def kill_agent(self) -> str:
        """In the middle of starts; its supervisor starts it again, at once or later. What runs goes on."""
        host = self._any()
        self._burst()
        host.kill()
        self._away([host], self.chance.choice([0.0, 2.0]))
        return "kill -9 of an agent"

    def lose_host(self, *, empty: bool | None = None) -> str:
        """All of it is gone at once. It comes back as it was, or with an empty disk."""
        host = self._any()
        self._burst()
        self.wanted.remove(host)
        host.lose()
        self.work(self.chance.uniform(0.2, 5.0))
        is_empty = self.chance.random() < 0.5 if empty is None else empty
        if is_empty:
            host.wipe()
        host.start(wait=False)
        self.wanted.append(host)
        while not host.is_ready():
            self.work(0.2)
        return f"a host is gone, and back {'empty' if is_empty else 'as it was'}"

    def lose_host_as_it_was(self) -> str:
        return self.lose_host(empty=False)

    def pause_agent(self) -> str:
        """Past its lease: its movable runs end there, and go on elsewhere."""
        host = self._any()
        self._burst()
        host.pause()
        self.work(LEASE_S + self.chance.uniform(1.0, 3.0))
        host.resume()
        return "an agent is paused"

    def cut_off(self) -> str:
        """Its network is gone: for a moment, past its lease, or until it is told to be unreachable."""
        host = self._any()
        assert host.network.wire is not None
        self._burst()
        host.network.wire.sever()
        self.work(self.chance.choice([1.0, LEASE_S + 3.0, LEASE_S + 3.0, _SILENT_S + 4.0]))
        host.network.wire.cut = False
        return "an agent is cut off"

    def kill_control_plane(self) -> str:
        """In the middle of launches."""
        worker = self.fleet.wanted[0]
        self._burst()
        self.fleet.leave(worker, signal.SIGKILL)
        self.work(self.chance.choice([0.0, 0.0, 3.0]))
        self.fleet.start(worker)
        return "kill -9 of the control plane"

    def control_plane_moves(self) -> str:
        """A second one joins, or leaves again, and takes MLApps over."""
        guest = self.fleet.guest
        self._burst()
        if guest in self.fleet.wanted:
            assert self.fleet.leave(guest) == 0, guest.log()
        else:
            self.fleet.start(guest)
            self.work(4.0)
        return "the control plane is shared, or not any more"

    def repeat(self) -> str:
        """Commands and reports come again, all that are not old, while new ones come."""
        self._burst()
        for topic, records in ((AGENT_COMMANDS, "commands"), (RUN_REPORTS, "reports")):
            for key, value in self.observed.resent[records]:
                self.load.cluster.send_bytes(topic, key, value)
        self.load.cluster.flush()
        return "commands and reports come twice"

    def impostor(self) -> str:
        """A second agent with the name of one that lives ends with the reason."""
        host = self._any()
        folder = host.folder / f"second-{self.rounds}"
        second = ServiceProcess(
            folder,
            *("agent", "--name", host.name, "--data", str(folder / "data"), "--runs-end-with-parent"),
            settings=self.load.cluster.settings,
        )
        with second.gone_at_the_end():
            second.start(wait=False)
            process = second.process
            assert process is not None
            while process.poll() is None:
                self.work(0.2)
            assert process.returncode == 1
        assert f"an agent '{host.name}' runs already on host" in second.log()
        return "a second agent of the name"

    def fill_disk(self) -> str:
        """Nothing more fits on the host's disk, for some seconds."""
        host = self._any()
        self._burst()
        with filled(host.disk, but_bytes=self.chance.choice([0, 0, 20_000])):
            self.work(self.chance.uniform(1.0, 4.0))
        return "a host's disk is full"

    def set_clock_off(self) -> str:
        """From its restart on a host's clock is wrong by minutes or hours, either way."""
        host = self._any()
        self._burst()
        assert host.terminate() == 0, host.log()
        host.set_clock_off(self.chance.choice(_CLOCKS_S))
        host.start(wait=False)
        return "a host's clock is wrong, and its agent is restarted"

    def jump_clock(self) -> str:
        """Somebody sets a host's clock, while its agent and all that it has started run on; twice, there and back or further."""
        host = self._any()
        for _ in range(2):
            host.set_clock_off(self.chance.choice(_CLOCKS_S))
            self._burst()
            self.work(self.chance.uniform(0.5, LEASE_S))
        return "a host's clock jumps under its agent"

    def kill_several(self) -> str:
        """Agents, the control plane, and the broker where there is one of its own, all at once."""
        hosts = self.chance.sample(self.wanted, self.chance.randint(1, len(self.wanted)))
        self._burst()
        for host in hosts:
            host.kill()
        for worker in self.fleet.wanted:
            worker.kill()
        if self.stack is not None and self.chance.random() < 0.4:
            self._kill_broker()
        for worker in self.fleet.wanted:
            worker.start(wait=False)
        self._away(hosts, 0.0)
        return "kill -9 of several at once"

    def kill_broker(self) -> str:
        """The stack's supervisor starts it again."""
        self._burst()
        self._kill_broker()
        return "kill -9 of the broker"

    def stop_broker(self) -> str:
        """It is away past leases, and in between past the time after which agents are silent."""
        assert self.stack is not None
        self._burst()
        self.load.cluster.flush()
        self.stack.stop()
        ends = time.monotonic() + self.chance.choice([LEASE_S + 3.0, _SILENT_S + 10.0])
        while time.monotonic() < ends:
            self._supervise()
            time.sleep(0.1)
        self.stack.start()
        return "the broker is away"

    def _kill_broker(self) -> None:
        assert self.stack is not None
        folder = self.stack.plan.folder
        before = broker_pid(folder)
        os.kill(before, 9)
        wait_for(lambda: broker_pid(folder) not in {before, 0}, "the broker is back")

    def _any(self) -> Host:
        return self.chance.choice(self.wanted)

    def _burst(self) -> None:
        """Runs are due right now: what follows happens while they are begun."""
        self.load.step(self.chance.choice(self.load.mlapps))
        self.load.cluster.flush()
        time.sleep(self.chance.choice([0.0, self.chance.uniform(0.0, 0.6)]))

    def _away(self, hosts: list[Host], seconds: float) -> None:
        self.wanted = [each for each in self.wanted if each not in hosts]
        self.work(seconds)
        for host in hosts:
            host.start(wait=False)
        self.wanted += hosts

    # ---- the end ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Everything that was due has run once, or is told as missed; what is told to run runs, and nothing else does."""

        def all_ended() -> bool:
            self._supervise()
            self.observed.poll()
            return not self.observed.missing()

        wait_for(all_ended, lambda: self._what("all faults"), HANDLED_S)
        assert not self.observed.scheduled(), self.observed.scheduled()
        due = (
            runs[-1].due_at_ms for runs in self.observed.runs.values() if runs[-1].node_id == "by-the-clock"
        )
        last_due = max(due, default=self._launched_ms)
        assert time.time() * 1000 - last_due < 3 * MINUTE_MS
        wait_for(
            lambda: (self.observed.poll(), self._alive() == self.observed.running())[1],
            lambda: f"{self._alive() ^ self.observed.running()}",
        )
        self.load.stop()
        wait_for(
            lambda: (self.observed.poll(), not (self._alive() or self.observed.open()))[1],
            lambda: f"{self._alive()} {self.observed.open()}",
        )
        assert not self.observed.broken(), self.observed.broken()
        ends = [f"{host.name}: {end}" for host in self.hosts for end in host.unexpected_ends]
        assert not ends, ends

    def _alive(self) -> set[str]:
        return {each for host in self.hosts for each in host.attempts()}

    def report(self) -> str:
        """What ``make faults`` shows."""
        runs = list(self.observed.runs.values())
        states = defaultdict(int)
        for each in runs:
            states[each[-1].state.value] += 1
        attempts = sum(each[-1].attempt for each in runs)
        lines = [
            (
                f"seed {self.seed}: {self.rounds} rounds, {len(self.load.mlapps)} MLApps on {len(self.hosts)} hosts, {len(runs)} "
                f"runs in {attempts} attempts ({', '.join(f'{many} {state}' for state, many in sorted(states.items()))}), "
                f"{len(self.observed.ids)} transitions"
            ),
            *(f"left out: {each}" for each in self.left_out),
            *(f"the control plane ended by itself, {end}" for end in self.fleet.unexpected_ends()),
        ]
        for kind, seconds in sorted(self.seconds.items()):
            ordered = sorted(seconds)
            lines.append(
                f"{kind:52} {len(ordered):3} times, right after {statistics.median(ordered):5.1f} s, "
                f"longest {ordered[-1]:5.1f} s"
            )
        return "\n".join(["", *lines, ""])
