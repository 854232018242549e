"""What a rebalance does to records on their way from the fetcher to an agent, in the order in which Faust does it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from faust.types import TP

from parallelm.stream_processors.app import App, WantedPartitions


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
