"""Events by object: what ``mlops.event`` and ``mlops.get_events`` do, for code that passes brokers around."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.mlops.events.event import Event
    from parallelm.mlops.events.event_filter import EventFilter


class _Events(Protocol):
    def event(self, event_obj: Event) -> object: ...

    def find_events(self, event_filter: EventFilter) -> pd.DataFrame | None: ...


class EventBroker:
    """Sends and finds events through ``mlops``."""

    def __init__(self, mlops: _Events) -> None:
        self._mlops = mlops

    def send_event(self, event_obj: Event) -> None:
        """Report an event."""
        self._mlops.event(event_obj)

    def get_events(self, event_filter: EventFilter) -> pd.DataFrame | None:
        """Events that the filter lets through; None when there are none."""
        from parallelm.mlops.events.event_filter import EventFilter

        if not isinstance(event_filter, EventFilter):
            raise MLOpsException(
                f"get_events of a broker takes an EventFilter, not {type(event_filter).__name__}"
            )
        return self._mlops.find_events(event_filter)
