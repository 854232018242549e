"""``mlops.event`` and ``mlops.get_events`` as an object, for code that passes brokers around."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import refusing

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.mlops.events.event import Event
    from parallelm.mlops.events.event_filter import EventFilter
    from parallelm.mlops.ion.ion import Agent
    from parallelm.schemas.times import Time


class _Events(Protocol):
    def event(self, event_obj: Event) -> object: ...

    def get_events(
        self,
        type: Any = None,  # noqa: A002 - the public contract's name
        mlapp_node: str | None = None,
        agent: str | Agent | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        is_alert: bool | None = True,
    ) -> pd.DataFrame | None: ...


@refusing
class EventBroker:
    """Reports and queries events through ``mlops``."""

    def __init__(self, mlops: _Events) -> None:
        self._mlops = mlops

    def send_event(self, event_obj: Event) -> None:
        """Report an event."""
        self._mlops.event(event_obj)

    def get_events(self, event_filter: EventFilter) -> pd.DataFrame | None:
        """Events that pass the filter; None if there are none."""
        from parallelm.mlops.events.event_filter import EventFilter

        if not isinstance(event_filter, EventFilter):
            raise MLOpsException(
                f"get_events of a broker takes an EventFilter, not {type(event_filter).__name__}"
            )
        return self._mlops.get_events(
            event_filter.type,
            event_filter.mlapp_node,
            event_filter.agent,
            event_filter.start_time,
            event_filter.end_time,
            event_filter.is_alert,
        )
