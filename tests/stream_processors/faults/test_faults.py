"""Faults under load: workers that are killed, paused, restarted, that join and leave, and a broker that restarts.

A few rounds here; ``make faults`` asks for a hundred. A third of them are pauses past the session time-out. At the end
every alert and deployment has gone its way exactly once, and in order.
"""

from __future__ import annotations

import dataclasses
import os
import random
import statistics
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.state import load_state
from parallelm.schemas.topic_admin import create_topics
from tests.stream_processors.live import Cluster
from tests.waiting import DEADLINE_S, wait_for

from .fleet import SESSION_TIMEOUT_S, Fleet
from .load import Load, Observed, assert_exact, differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "6"))
SEED = int(os.environ.get("FAULT_SEED", "7"))
SLOW_S = 8.0
"""What took longer is reported with its time, to be looked up in the logs."""
HANDLED_S = 60.0
"""Until everything is handled after a fault: far more than it takes, for machines with other things to do."""


class Run:
    """One run: its stack, its workers, its load, and the times until work went on after each kind of fault."""

    def __init__(self, stack: LocalStack, fleet: Fleet, load: Load, observed: Observed) -> None:
        self.stack, self.fleet, self.load, self.observed = stack, fleet, load, observed
        self.chance = random.Random(SEED)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.slow: list[str] = []

    def work(self, seconds: float) -> None:
        """The load goes on for a while."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.load.step(pause_s=0.05)
            self.fleet.supervise()
            self.observed.poll()

    def settle(self, kind: str, began: float) -> None:
        """Wait until all that was sent is handled."""
        self.load.step()
        expected = self.load.expected()

        def handled() -> bool:
            self.fleet.supervise()
            return self.observed.has(expected)

        wait_for(
            handled,
            lambda: (
                f"work goes on after {kind} (seed {SEED}): {differences(expected, self.observed)}\n{self.fleet.logs()}"
            ),
            HANDLED_S,
        )
        self.seconds[kind].append(time.monotonic() - began)
        if self.seconds[kind][-1] > SLOW_S:
            self.slow.append(f"{time.strftime('%X')} {kind}: {self.seconds[kind][-1]:.1f} s")

    # ---- faults -------------------------------------------------------------------------------------------------

    def kill(self) -> None:
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
        """One or more workers stand still past their session time-out, and go on."""
        paused = self.chance.sample(self.fleet.wanted, self.chance.randint(1, len(self.fleet.wanted)))
        for worker in paused:
            worker.pause()
        self.work(SESSION_TIMEOUT_S + self.chance.uniform(0.2, 2.0))
        for worker in paused:
            worker.resume()
        self.settle("a pause", time.monotonic())

    def restart(self) -> None:
        worker = self.chance.choice(self.fleet.wanted)
        assert worker.terminate() == 0, worker.log()
        began = time.monotonic()
        worker.start(wait=False)
        self.settle("a restart", began)

    def join_or_leave(self) -> None:
        guest = self.fleet.guest
        if guest in self.fleet.wanted:
            assert self.fleet.leave(guest) == 0, guest.log()
        else:
            self.fleet.start(guest)
        self.settle("a join or leave", time.monotonic())

    def restart_broker(self) -> None:
        folder = self.stack.plan.folder
        before = broker_pid(folder)
        os.kill(before, 9)
        began = time.monotonic()
        wait_for(lambda: broker_pid(folder) not in {before, 0}, "the broker is back")
        self.settle("a kill -9 of the broker", began)

    def poison(self) -> None:
        self.load.send_poison()
        self.settle("poison on every topic", time.monotonic())


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
    """A third pauses, in random order; the broker's restart is rare. Each kind comes at least once in six rounds."""
    others = [
        run.kill,
        run.kill_for_good,
        run.restart,
        run.join_or_leave,
        run.join_or_leave,
        run.kill,
        run.poison,
    ]
    for number in range(rounds):
        if number % 25 == 24:
            yield run.restart_broker
        elif number % 3 == 1:
            yield run.pause
        else:
            yield run.kill if number == 0 else run.chance.choice(others)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with LocalStack(tmp_path / "stack", services=("kafka",)) as stack:
        kafka = dataclasses.replace(stack.settings.kafka, topic_prefix="faults.")
        settings = dataclasses.replace(stack.settings, kafka=kafka)
        create_topics(settings, timeout_s=DEADLINE_S)
        cluster = Cluster(settings)
        observed = Observed(cluster)
        with Fleet(settings, tmp_path) as fleet:
            yield Run(stack, fleet, Load(cluster, observed), observed)
        observed.close()
        cluster.close()


def test_whatever_happens_to_workers_no_transition_is_missed_doubled_or_out_of_order(run: Run):
    run.load.define()
    for worker in run.fleet.static:
        run.fleet.start(worker)
    run.work(1.0)
    run.settle("the start", time.monotonic())
    for fault in faults_of(run, ROUNDS):
        run.work(run.chance.uniform(0.1, 0.5))
        fault()
    run.poison()
    # All are gone: what comes next knows only what the changelogs say.
    for worker in list(run.fleet.wanted):
        run.fleet.leave(worker, 9)  # type: ignore[arg-type]
    run.work(0.5)
    run.fleet.start(run.fleet.guest)
    run.settle("a cold start", time.monotonic())
    report(run)
    assert_exact(run.load, run.observed)


def report(run: Run) -> None:
    """What ``make faults`` shows."""
    lines = [
        f"seed {SEED}: {ROUNDS} rounds, {run.load.steps} steps, {len(run.observed.ids)} transitions",
        *(f"a worker ended by itself, {end}" for end in run.fleet.unexpected_ends()),
        *(f"slow: {each}" for each in run.slow),
    ]
    for kind, seconds in sorted(run.seconds.items()):
        ordered = sorted(seconds)
        lines.append(
            f"{kind:32} {len(ordered):4} times, all handled after {statistics.median(ordered):5.1f} s, "
            f"p90 {ordered[int(0.9 * (len(ordered) - 1))]:5.1f} s, longest {ordered[-1]:5.1f} s"
        )
    sys.stdout.write("\n".join(["", *lines, ""]))
