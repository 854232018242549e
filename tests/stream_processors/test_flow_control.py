"""What a rebalance does to records on their way from the fetcher to an agent, in the order in which Faust does it."""

from __future__ import annotations

import asyncio

from parallelm.stream_processors.flow_control import App


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
