"""Workers that pause, join, leave or share a name, and a broker that is away: under load, which is handled exactly once."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaException

from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.state import load_state
from parallelm.schemas.topic_admin import create_topics
from tests.waiting import DEADLINE_S, wait_for

from .faults.fleet import FleetWorker
from .faults.load import Load, Observed, assert_exact, differences
from .faults.scenarios import QUICK
from .live import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def load(own: Cluster, observed: Observed) -> Load:
    load = Load(own, observed, copies=1, scenarios=QUICK)
    load.define()
    return load


@pytest.fixture
def observed(own: Cluster) -> Iterator[Observed]:
    observed = Observed(own)
    yield observed
    observed.close()


def all_handled(load: Load, observed: Observed) -> None:
    expected = load.expected()
    wait_for(lambda: observed.has(expected), lambda: differences(expected, observed))


@pytest.mark.parametrize("static", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_worker_that_was_paused_past_its_session_writes_nothing_stale_and_works_again(
    load: Load, observed: Observed, tmp_path: Path, static: bool
):
    settings = load.cluster.settings
    names = ("first", "second") if static else ("", "")
    with (
        FleetWorker(settings, tmp_path / "1", instance_id=names[0]) as paused,
        FleetWorker(settings, tmp_path / "2", instance_id=names[1]) as other,
    ):
        load.step()
        all_handled(load, observed)
        for _ in range(2):
            for _ in range(20):  # it is in the middle of something
                load.step()
            paused.pause()
            for _ in range(20):
                load.step()
            all_handled(load, observed)  # the other one has taken over
            paused.resume()
            for _ in range(20):
                load.step()
                paused.supervise()
            all_handled(load, observed)
        other.kill()
        load.step()
        all_handled(load, observed)  # the one that was paused has its place in the group
        assert_exact(load, observed)
        assert paused.unexpected_ends == []


@pytest.mark.long
def test_ten_joins_and_leaves_under_load_make_nobody_give_up(load: Load, observed: Observed, tmp_path: Path):
    settings = load.cluster.settings
    guest = FleetWorker(settings, tmp_path / "guest")
    with FleetWorker(settings, tmp_path / "first") as first, guest.gone_at_the_end():
        for _ in range(10):
            guest.start(wait=False)
            while not guest.is_ready():
                load.step(pause_s=0.05)
                assert guest.runs, guest.log()
            for _ in range(3):
                load.step(pause_s=0.05)
            assert guest.terminate() == 0, guest.log()
        all_handled(load, observed)
        assert_exact(load, observed)
        assert first.runs, first.log()


@pytest.mark.long  # how soon depends on how fast they take shards from each other
def test_of_two_workers_with_one_instance_id_at_least_one_ends_and_says_so(
    load: Load, observed: Observed, tmp_path: Path
):
    settings = load.cluster.settings
    both = [FleetWorker(settings, tmp_path / str(number), instance_id="same") for number in range(2)]
    with both[0], both[1].gone_at_the_end():
        both[1].start(wait=False)

        def one_has_ended() -> list[FleetWorker]:
            load.step(pause_s=0.05)
            return [each for each in both if each.child.poll() is not None]

        # Both may end over it, and at the same moment; a supervisor starts the other one again.
        # It is known by how often each takes the shards from the other, which on a busy machine is not often.
        ended = wait_for(one_has_ended, lambda: [each.log()[-2000:] for each in both], deadline_s=200)
        [said, *_] = [each for each in ended if "--instance-id" in each.log().splitlines()[-1]]
        assert said.child.returncode == 1
        [other] = [each for each in both if each is not said]
        expected = load.expected()

        def handled() -> bool:
            other.supervise()
            return observed.has(expected)

        wait_for(handled, lambda: differences(expected, observed))
        assert_exact(load, observed)


def answers(cluster: Cluster) -> bool:
    """Whether the broker is there."""
    try:
        return bool(cluster.admin.list_topics(timeout=1))
    except KafkaException:
        return False


@pytest.mark.long  # faults/ kills the broker too, for less long
def test_a_broker_that_is_away_for_20_s_is_waited_for_with_few_words(tmp_path: Path):
    with LocalStack(tmp_path / "stack", services=("kafka",)) as stack:
        create_topics(stack.settings, timeout_s=DEADLINE_S)
        cluster = Cluster(stack.settings)
        observed = Observed(cluster)
        load = Load(cluster, observed, copies=1, scenarios=QUICK)
        load.define()
        with FleetWorker(stack.settings, tmp_path / "worker") as worker:
            load.step()
            all_handled(load, observed)
            before = len(worker.log().splitlines())
            state = load_state(stack.plan.folder)
            assert state is not None
            (broker,) = (each.pid for each in state.processes if each.name == "kafka")
            assert broker is not None
            os.kill(state.pid, signal.SIGSTOP)  # the stack's supervisor, which would start it again
            try:
                os.kill(broker, signal.SIGKILL)
                gone = time.monotonic()
                wait_for(lambda: time.monotonic() > gone + 20)
            finally:
                os.kill(state.pid, signal.SIGCONT)
            wait_for(lambda: answers(cluster), "the broker is back")
            load.step()
            all_handled(load, observed)
            assert_exact(load, observed)
            assert worker.runs
            lines = worker.log().splitlines()[before:]
            assert len(lines) < 100, "\n".join(lines[:200])
        observed.close()
        cluster.close()
