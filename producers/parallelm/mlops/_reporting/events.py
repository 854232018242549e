"""Events and alerts: ``event``, ``set_event`` and the four kinds of alert."""

from __future__ import annotations

from typing import Any, Self

from parallelm.mlops._session.session import Session
from parallelm.mlops.events.canary_alert import CanaryAlert
from parallelm.mlops.events.data_alert import DataAlert
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.health_alert import HealthAlert
from parallelm.mlops.events.system_alert import SystemAlert
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException, SuppressException


class Events(Session):
    """Everything that reports an event. Each call returns the object itself and raises ``MLOpsException``."""

    def event(self, event_obj: Event) -> Self:
        """Report an event."""
        self._send_event(event_obj)
        return self

    def set_event(
        self,
        name: str | Event,
        type: Any = None,  # noqa: A002 - the public contract's name
        data: Any = None,
        is_alert: bool = False,
        timestamp: Any = None,
    ) -> Self:
        """Report an event of a name and type, or a ready one given as ``name``."""
        if isinstance(name, Event):
            return self.event(name)
        self._opened_output()
        if type is None:
            raise MLOpsException(f"event {name!r} needs a type, for example EventType.System")
        return self.event(Event(name, None, data, type, is_alert, timestamp))

    def data_alert(self, title: str, desc: str | None, data: Any = None) -> Self:
        """Raise an alert about anomalous input."""
        self._opened_output()
        return self.event(DataAlert(title, desc, data))

    def health_alert(self, title: str, desc: str | None, data: Any = None) -> Self:
        """Raise an alert about a model's health."""
        self._opened_output()
        return self.event(HealthAlert(title, desc, data))

    def system_alert(self, title: str, desc: str | None, data: Any = None) -> Self:
        """Raise an alert about the system: memory, files, permissions."""
        self._opened_output()
        return self.event(SystemAlert(title, desc, data))

    def canary_alert(
        self, title: str, is_healthy: bool, score: float | None, threshold: float | None
    ) -> Self:
        """Report how a canary's predictions compare with the main pipeline's."""
        self._opened_output()
        return self.event(CanaryAlert(title, is_healthy, score, threshold))

    @SuppressException([MLOpsConnectionException])
    def _send_event(self, event: Event) -> None:
        output = self._opened_output()
        if not isinstance(event, Event):
            raise MLOpsException(f"an event must be an Event, not {type(event).__name__}")
        output.event(event.report(self._time_ns()))
