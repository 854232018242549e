"""What the agent decides without Kafka and clocks."""

from __future__ import annotations

import dataclasses
import resource
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.agent.errors import AgentError
from parallelm.agent.options import AgentOptions
from parallelm.agent.runners import Delivery, RunKey, RunStatus
from parallelm.agent.service.broker_clock import BrokerClock
from parallelm.agent.service.claims import holder_of, is_lost_to, next_epoch, rival
from parallelm.agent.service.leases import Lease, due, ends_s
from parallelm.agent.service.run import STORE_FILE, opened
from parallelm.agent.service.store import Store, StoreFullError
from parallelm.agent.service.told import Speaker, Told, to_tell
from parallelm.agent.telemetry.log_limit import LogLimit
from parallelm.agent.telemetry.processes import Processes, Use
from parallelm.schemas.records import AgentState
from parallelm.supervision.service_frame import Stop
from tests.agent.control_plane import run_spec

if TYPE_CHECKING:
    from pathlib import Path

KEY = RunKey("r", 1)
SPEAKER = Speaker(agent_id="host-a", epoch=3)
BEGIN = RunStatus(key=KEY, spec=run_spec("r"))


def delivery(number: int) -> Delivery:
    return Delivery(
        model_id=f"m{number}", deployment_id="d", is_accepted=number % 2 == 0, reason="", at_ms=number
    )


STEPS: list[dict[str, Any]] = [
    {"starts": 1, "pid": 1},
    {"deliveries": (delivery(1),)},
    {"starts": 2},
    {"deliveries": (delivery(1), delivery(2))},
    {"starts": 5},
    {"outcome": "failed", "exit_code": 3},
]


@given(st.lists(st.booleans(), min_size=len(STEPS) + 1, max_size=len(STEPS) + 1))
def test_whatever_the_moments_at_which_an_agent_looks_everything_is_told_once_and_in_order(
    looks: list[bool],
) -> None:
    """Looks are what ends and restarts of the agent leave: some statuses are never seen."""
    status, told, kinds = BEGIN, Told(), []
    for step, is_seen in zip([*STEPS, {}], [*looks[:-1], True], strict=True):
        status = dataclasses.replace(status, **step) if step else status
        for _ in range(2 if is_seen else 0):
            reports, told = to_tell(told, status, SPEAKER, 7)
            kinds += [report.kind.value for report in reports]
    assert kinds[0] == "accepted"
    assert kinds[-1] == "ended"
    assert [
        kinds.count(kind) for kind in ("accepted", "started", "model_accepted", "model_refused", "ended")
    ] == [1] * 5
    assert kinds.index("started") == 1
    assert kinds.count("restarted") <= 2


@given(st.floats(0, 5), st.floats(0, 5), st.floats(0, 1e5), st.integers(0, 10**13))
def test_the_brokers_clock_is_never_later_than_its_bound(
    there_s: float, back_s: float, later_s: float, broker_ms: int
) -> None:
    clock, sent_s = BrokerClock(), 1000.0
    confirmed_s = sent_s + there_s + back_s
    clock.stamped(sent_s, confirmed_s, broker_ms)
    now_s = confirmed_s + later_s
    real_ms = broker_ms + (back_s + later_s) * 1000
    bound = clock.latest_ms(now_s)
    assert bound is not None
    assert bound >= real_ms - 1
    assert bound <= real_ms + there_s * 1000 + later_s + 1


def test_a_lease_ends_before_the_control_plane_counts_it_as_over() -> None:
    assert ends_s(100.0, 30_000) < 130.0
    lease = Lease(KEY, "app", 10_000, ends_s=110.0, asked_s=100.0)
    other = Lease(RunKey("s", 1), "app", 60_000, ends_s=150.0, asked_s=100.0)
    assert due([lease, other], 101.0) == {}
    assert due([lease, other], 102.0) == {"app": [lease, other]}, "one renewal is for all of the MLApp"
    assert due([lease], 110.0) == {}, "what is over is not renewed: it may be elsewhere"
    assert due([lease, other], 113.0) == {"app": [other]}


def state(epoch: int, installation: str, says: str = "ready") -> AgentState:
    return AgentState(
        event_time_ms=1,
        agent_id="host-a",
        hostname=installation,
        version="1",
        labels={},
        pipelines=[],
        state=says,
        epoch=epoch,
        installation_id=installation,
    )


@pytest.mark.parametrize(
    ("states", "epoch", "must_be_silent"),
    [
        ([], 1, None),
        ([state(1, "a")], 1, None),
        ([state(1, "b")], 2, "b"),
        ([state(1, "b", "ended")], 2, None),
        ([state(1, "b", "removed")], 2, None),
        ([state(1, "b"), state(1, "a")], 2, "b"),
        ([state(1, "a"), state(1, "b")], 1, None),
        ([state(1, "a"), state(2, "b"), state(1, "a", "ended")], 3, "b"),
        ([state(1, "b"), state(1, "b", "ended"), state(1, "b")], 2, "b"),
    ],
)
def test_the_order_on_the_topic_says_who_has_the_name(
    states: list[AgentState], epoch: int, must_be_silent: str | None
) -> None:
    assert next_epoch(states, "a") == epoch
    found = rival(states, "a")
    assert (found.installation_id if found else None) == must_be_silent


def test_the_first_of_an_epoch_holds_it() -> None:
    assert holder_of([state(2, "x"), state(2, "y"), state(1, "z")]) == state(2, "x")
    assert is_lost_to(state(3, "y"), 2, "x")
    assert not is_lost_to(state(2, "y"), 2, "x"), "it came second, and ends"
    assert not is_lost_to(state(1, "y"), 2, "x")


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 500)), max_size=30), st.integers(0, 100))
def test_no_more_lines_are_sent_than_the_limit_says(writes: list[tuple[float, int]], rate: int) -> None:
    limit, now_s, sent = LogLimit(rate, 0.0), 0.0, 0
    for pause_s, lines in writes:
        now_s += pause_s
        taken = limit.take(lines, now_s)
        assert 0 <= taken <= lines
        sent += taken
    assert sent <= rate * (now_s + 5) + 1e-6


def test_a_store_is_opened_once_its_disk_has_room(tmp_path: Path) -> None:
    options = AgentOptions(name="host-a", folder=tmp_path)
    path = tmp_path / STORE_FILE
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    tries: list[Path] = []

    def open_store(path: Path, max_bytes: int) -> Store:
        tries.append(path)
        is_full = len(tries) == 2  # the first makes the store, which is written again with each start
        resource.setrlimit(resource.RLIMIT_FSIZE, (0 if is_full else limits[0], limits[1]))
        try:
            return Store(path, max_bytes)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    for _ in range(2):
        with opened(open_store, options, Stop()) as store:
            assert store.reports() == []
    assert tries == [path] * 3
    path.write_bytes(b"none of a store" * 1000)
    with pytest.raises(AgentError, match="cannot be used") as error:
        opened(open_store, options, Stop())
    assert not isinstance(error.value, StoreFullError)


def test_a_run_uses_what_its_processes_use_and_all_below_them_each_once():
    one = Use(cpu_s=1.0, memory_bytes=10, threads=2, processes=1)
    seen = Processes(dict.fromkeys((1, 2, 3, 4), one), {1: [2], 2: [3]})
    assert seen.below([1, 2, 99]) == Use(cpu_s=3.0, memory_bytes=30, threads=6, processes=3)
    # The pid of a process that had ended while others were read was given to one below it.
    seen.children[3] = [1]
    assert seen.below([1]).processes == 3
