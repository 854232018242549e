"""Events and alerts: ``event`` and similar calls check them and pass them to the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mlops._session.event_time import now_ns
from parallelm.mlops.events.canary_alert import CanaryAlert
from parallelm.mlops.events.data_alert import DataAlert
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.health_alert import HealthAlert
from parallelm.mlops.events.system_alert import SystemAlert
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException, SuppressException
from parallelm.mlops.stats._callers_values import quoted, refusing

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.mlops._session.session import Session


@refusing
class Events:
    """The calls that report an event. They raise ``MLOpsException`` for wrong arguments."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @SuppressException([MLOpsConnectionException])
    def report(self, make: Callable[[], Event]) -> None:
        """Report the event that ``make`` returns; it is not called when the library is not open."""
        output = self._session.output()
        if output is None:
            return
        event = make()
        if not isinstance(event, Event):
            raise MLOpsException(f"an event must be an Event, not {type(event).__name__}")
        output.event(event.report(now_ns()))

    def named(
        self, name: str | Event, kind: Any, data: Any, is_alert: bool, timestamp: Any, units: str | None
    ) -> None:
        """Report an event of a name and type, or an ``Event`` given as ``name``."""
        self.report(lambda: _named(name, kind, data, is_alert, timestamp, units))

    def data_alert(self, title: str, desc: str | None, data: Any) -> None:
        """Raise an alert about anomalous input."""
        self.report(lambda: DataAlert(title, desc, data))

    def health_alert(self, title: str, desc: str | None, data: Any) -> None:
        """Raise an alert about a model's health."""
        self.report(lambda: HealthAlert(title, desc, data))

    def system_alert(self, title: str, desc: str | None, data: Any) -> None:
        """Raise an alert about the system."""
        self.report(lambda: SystemAlert(title, desc, data))

    def canary_alert(
        self, title: str, is_healthy: bool, score: float | None, threshold: float | None
    ) -> None:
        """Report how a canary's predictions compare with the main pipeline's."""
        self.report(lambda: CanaryAlert(title, is_healthy, score, threshold))


def _named(
    name: str | Event, kind: Any, data: Any, is_alert: bool, timestamp: Any, units: str | None
) -> Event:
    if isinstance(name, Event):
        return name
    if kind is None:
        raise MLOpsException(f"event {quoted(name)} needs a type, for example EventType.System")
    return Event(name, None, data, kind, is_alert, timestamp, units=units)
