"""One run of the fault test: its stack, its workers and notifier, its load, and what happens to them."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.mcenter.local_stack.state import load_state
from tests.waiting import wait_for

from .fleet import SESSION_TIMEOUT_S, Fleet, FleetProcess
from .load import Load, Observed, assert_exact, differences
from .notified import FleetNotifier, Notified, assert_same_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from parallelm.mcenter.local_stack import LocalStack
    from tests.stream_processors.notifications.receivers import HttpReceiver

SLOW_S = 5.0
"""What took longer is reported with its time, to be looked up in the logs."""
HANDLED_S = 180.0
"""Until everything is handled after a fault: far more than it takes, for machines with other things to do."""


@dataclass
class Run:
    """Faults, and the times until all that was sent before and during each of them was handled."""

    seed: int
    stack: LocalStack
    fleet: Fleet
    load: Load
    observed: Observed
    notifier: FleetNotifier
    receiver: HttpReceiver
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    slow: list[str] = field(default_factory=list)
    rounds: int = 0
    notifier_faults: int = 0
    """Each of them may make the notifier repeat what it had sent and not yet recorded."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.notified = Notified(self.receiver, self.observed)

    def start(self) -> None:
        """The notifier tells nothing of the past: it is there before the first record."""
        self.notifier.start(wait=False)
        self.load.define()
        for worker in self.fleet.static:
            self.fleet.start(worker)
        self.notifier.wait_ready()
        self.work(1.0)
        self.settle("the start", time.monotonic())

    def work(self, seconds: float) -> None:
        """The load goes on for a while."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.load.step(pause_s=0.05)
            self._supervise()
            self.observed.poll()

    def settle(self, kind: str, began: float, *, told: bool = False) -> None:
        """Wait until all that was sent is handled; ``told``: until the notifier has told of it, too."""
        self.load.step()
        expected = self.load.expected(at_once=True)

        def handled() -> bool:
            self._supervise()
            return self.observed.has(expected) and not (told and self.notified.differences())

        wait_for(
            handled,
            lambda: (
                f"work goes on after {kind} (seed {self.seed}): {differences(expected, self.observed)} "
                f"{self.notified.differences()}\n{self.fleet.logs()}\n--- notifier\n{self.notifier.log()[-3000:]}"
            ),
            HANDLED_S,
        )
        self.seconds[kind].append(time.monotonic() - began)
        if self.seconds[kind][-1] > SLOW_S:
            self.slow.append(f"{time.strftime('%X')} {kind}: {self.seconds[kind][-1]:.1f} s")

    def _supervise(self) -> None:
        self.fleet.supervise()
        self.notifier.supervise()

    # ---- faults -------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """Its supervisor starts it again at once."""
        worker = self.chance.choice(self.fleet.wanted)
        worker.kill()
        began = time.monotonic()
        worker.start(wait=False)
        self.settle("kill -9 of a static member" if worker in self.fleet.static else "kill -9", began)

    def kill_for_good(self) -> None:
        """No successor: the others take over."""
        if self.fleet.guest not in self.fleet.wanted:
            self.fleet.start(self.fleet.guest, wait=True)
        self.fleet.leave(self.fleet.guest, 9)  # type: ignore[arg-type]
        self.settle("kill -9 without a successor", time.monotonic())

    def pause(self) -> None:
        """One or more workers, and in every third case the notifier, stand still past their session time-out."""
        paused: list[FleetProcess] = []
        paused += self.chance.sample(self.fleet.wanted, self.chance.randint(1, len(self.fleet.wanted)))
        if self.chance.randrange(3) == 0:
            paused.append(self.notifier)
            self.notifier_faults += 1
        for process in paused:
            process.pause()
        self.work(SESSION_TIMEOUT_S + self.chance.uniform(0.2, 2.0))
        for process in paused:
            process.resume()
        self.settle("a pause", time.monotonic())

    def restart(self) -> None:
        """SIGTERM, and started again."""
        worker = self.chance.choice(self.fleet.wanted)
        assert worker.terminate() == 0, worker.log()
        began = time.monotonic()
        worker.start(wait=False)
        self.settle("a restart", began)

    def join_or_leave(self) -> None:
        """A worker without an instance id comes, or goes as it should."""
        guest = self.fleet.guest
        if guest in self.fleet.wanted:
            assert self.fleet.leave(guest) == 0, guest.log()
        else:
            self.fleet.start(guest)
        self.settle("a join or leave", time.monotonic())

    def kill_broker(self) -> None:
        """The stack's supervisor starts it again."""
        folder = self.stack.plan.folder
        before = broker_pid(folder)
        self.notifier_faults += 1
        os.kill(before, 9)
        began = time.monotonic()
        wait_for(lambda: broker_pid(folder) not in {before, 0}, "the broker is back")
        self.settle("kill -9 of the broker", began)

    def kill_notifier(self) -> None:
        """In the middle of what it sends."""
        self.notifier_faults += 1
        self.notifier.kill()
        began = time.monotonic()
        self.notifier.start(wait=False)
        self.settle("kill -9 of the notifier", began, told=True)

    def poison(self) -> None:
        """Records that nobody can decode, on each topic."""
        self.load.send_poison()
        self.settle("poison on every topic", time.monotonic())

    def cold_start(self) -> None:
        """All are gone: what comes next knows only what the changelogs say."""
        for worker in list(self.fleet.wanted):
            self.fleet.leave(worker, 9)  # type: ignore[arg-type]
        self.load.leave_to_the_clock()
        self.work(0.5)
        self.fleet.start(self.fleet.guest)
        self.settle("a cold start", time.monotonic(), told=True)

    # ---- the end ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Each transition and each notification is there, once; repeats of notifications are few, and the same."""
        assert_exact(self.load, self.observed)
        wait_for(lambda: not self.notified.differences(), self.notified.differences, HANDLED_S)
        assert_same_messages(self.receiver)
        assert self.notified.repeats <= self.notifier_faults

    def report(self) -> str:
        """What ``make faults`` shows."""
        told = self.notified.by_id()
        lines = [
            (
                f"seed {self.seed}: {self.rounds} rounds, {self.load.steps} steps, {len(self.load.mlapps)} MLApps, "
                f"{len(self.observed.ids)} transitions, {len(self.observed.dead_letters)} dead letters of "
                f"{self.load.poison}, {len(told)} notifications with {self.notified.repeats} repeats in "
                f"{self.notifier_faults} faults of the notifier"
            ),
            *(f"a process ended by itself, {end}" for end in self.fleet.unexpected_ends()),
            *(f"the notifier ended by itself, {end}" for end in self.notifier.unexpected_ends),
            *(f"slow: {each}" for each in self.slow),
        ]
        for kind, seconds in sorted(self.seconds.items()):
            ordered = sorted(seconds)
            lines.append(
                f"{kind:32} {len(ordered):4} times, all handled after {statistics.median(ordered):5.1f} s, "
                f"p90 {ordered[int(0.9 * (len(ordered) - 1))]:5.1f} s, longest {ordered[-1]:5.1f} s"
            )
        return "\n".join(["", *lines, ""])


def broker_pid(folder: Path) -> int:
    """Of a broker that is ready; 0 when there is none."""
    state = load_state(folder)
    ready = (
        [each for each in state.processes if each.name == "kafka" and each.condition == "ready"]
        if state
        else []
    )
    return (ready[0].pid or 0) if ready else 0


def faults_of(run: Run, rounds: int) -> Iterator[Callable[[], None]]:
    """The first six are of different kinds; then they come by chance, a third of them pauses, few of the broker."""
    yield from (
        run.kill,
        run.pause,
        run.kill_notifier,
        run.kill_for_good,
        run.kill_broker,
        run.join_or_leave,
    )[:rounds]
    others = (
        *(run.kill, run.kill, run.kill_for_good, run.restart),
        *(run.join_or_leave, run.join_or_leave, run.kill_notifier, run.poison),
    )
    for number in range(6, rounds):
        if number % 20 == 19:
            yield run.kill_broker
        else:
            yield run.pause if number % 3 == 1 else run.chance.choice(others)
