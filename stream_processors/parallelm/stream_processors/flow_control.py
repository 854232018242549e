"""Faust's switch between fetcher and streams, without the loss of records that its recovery makes of it."""

from __future__ import annotations

from functools import cached_property

import faust
from mode.utils.queues import FlowControlEvent


class FlowControl(FlowControlEvent):
    """Empties the queues of streams when records begin to flow, and not again while they flow.

    At the end of a recovery Faust 0.15.3 lets the fetcher deliver, seeks, and only then resumes, for the second time
    (faust-streaming/faust#596). What had arrived in between was thrown away, and never fetched again: a rebalance lost
    single records for good.
    """

    def resume(self) -> None:
        """Let records flow; those of before the rebalance are gone by then."""
        if not self.is_active():
            super().resume()


class App(faust.App):
    """A Faust app whose rebalances lose nothing."""

    @cached_property
    def flow_control(self) -> FlowControlEvent:
        """Shared by all queues of the app."""
        return FlowControl(loop=self.loop)
