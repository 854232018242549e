"""What a rebalance does to records on their way from the fetcher to an agent, in the order in which Faust does it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from parallelm.stream_processors.runtime.app import App, Assignments, WantedPartitions, with_positions


def test_records_that_come_before_faust_resumes_for_the_second_time_are_handled():
    async def rebalance() -> list[str]:
        app = App("app", autodiscover=False)
        queue = app.FlowControlQueue(10, clear_on_resume=True)
        app.flow_control.suspend()
        queue.put_nowait("of before the rebalance")
        app.flow_control.resume()  # state is recovered
        queue.put_nowait("of now")
        app.flow_control.resume()  # the committed offsets are known
        return [queue.get_nowait() for _ in range(queue.qsize())]

    assert asyncio.run(rebalance()) == ["of now"]


def test_the_fetcher_takes_nothing_of_paused_partitions_also_when_all_are_paused():
    state, stream = TP("state", 0), TP("models", 0)
    consumer, active = SimpleNamespace(flow_active=True), {state}
    wanted = WantedPartitions(consumer, active)
    assert (state in wanted, stream in wanted) == (True, False)
    active.clear()
    assert wanted, "aiokafka takes what is false for every partition"
    assert (state in wanted, stream in wanted) == (False, False)
    active.add(stream)
    assert stream in wanted
    consumer.flow_active = False
    assert stream not in wanted


def consumer_at(positions: dict[TP, int | None], fetched: dict[TP, Any]) -> Any:
    """What of aiokafka's consumer is looked at; a position of None is not known yet."""
    states = {
        tp: SimpleNamespace(has_valid_position=position is not None, position=position, highwater=20)
        for tp, position in positions.items()
    }
    assignment = SimpleNamespace(tps=set(positions), state_value=states.__getitem__)
    return SimpleNamespace(
        _subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)),
        _fetcher=SimpleNamespace(_records=fetched),
    )


def test_reading_goes_on_behind_markers_of_transactions():
    tp, record = TP("models", 0), SimpleNamespace(offset=10)
    consumer, assignments = consumer_at({tp: 12}, {}), Assignments()
    assert with_positions(consumer, {tp: [record]}, {tp}, assignments) == {tp: (1, None, 12, 20, [record])}
    assert with_positions(consumer, {}, {tp}, assignments) == {}, "it has not come on"
    state_of(consumer, tp).position = 14
    assert with_positions(consumer, {}, {tp}, assignments) == {tp: (1, 12, 14, 20, ())}, (
        "only markers were there"
    )


def test_chunks_tell_where_the_one_before_ended_and_a_new_assignment_begins_anew():
    tp, record = TP("models", 0), SimpleNamespace(offset=10)
    consumer, assignments = consumer_at({tp: 11}, {}), Assignments()
    assert with_positions(consumer, {tp: [record]}, {tp}, assignments)[tp][:3] == (1, None, 11)
    state_of(consumer, tp).position = 13
    later = SimpleNamespace(offset=12)
    assert with_positions(consumer, {tp: [later]}, {tp}, assignments)[tp][:3] == (1, 11, 13)
    state_of(consumer, tp).position = 11  # Faust has sent it back
    assert with_positions(consumer, {tp: [record]}, {tp}, assignments)[tp][:3] == (1, None, 11)
    again = consumer_at({tp: 11}, {})  # of the same generation
    assert with_positions(again, {tp: [record]}, {tp}, assignments)[tp][:3] == (2, None, 11)


def state_of(consumer: Any, tp: TP) -> Any:
    return consumer._subscription.subscription.assignment.state_value(tp)


def test_a_position_is_not_told_before_the_records_up_to_it():
    tp = TP("models", 0)
    fetched = consumer_at({tp: 12}, {tp: "fetched, not handed on"})
    assert with_positions(fetched, {}, {tp}, Assignments()) == {}
    assert with_positions(consumer_at({tp: None}, {}), {}, {tp}, Assignments()) == {}
    assert with_positions(consumer_at({tp: 12}, {}), {}, set(), Assignments()) == {}, "all are paused"
