"""Lines of the contract: events, alerts and KPIs."""

from __future__ import annotations

from typing import Any, Final

from parallelm.mlops import mlops
from parallelm.mlops.events.canary_alert import CanaryAlert
from parallelm.mlops.events.data_alert import DataAlert
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_broker import EventBroker
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.events.health_alert import HealthAlert
from parallelm.mlops.events.system_alert import SystemAlert
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.schemas.well_known import GENERIC_EVENT
from tests.producers.contract.line import REFUSED, Line, moment, moment_s, scalar

GOOD: Final = "Canary Health is Good"
DIVERGED: Final = "Canary prediction distributions diverge with a threshold set to 0.1"


def event(number: int, title: str, description: str, data: str, *, is_alert: bool = True) -> str:
    """What stand-alone prints of an event; its time stands in its JSON."""
    return (
        f'{number}, {title}, {is_alert}, {{"agent": "host-1", "alert_type": {number}, "title": "{title}", '
        f'"description": "{description}", "data": {data}}}'
    )


def canary(title: str, description: str, healthy: str, score: str, diverged: str) -> str:
    """What stand-alone prints of a canary alert."""
    data = (
        f'{{"type": "canaryPredictionComparison", "description": "{description}", "isHealthy": {healthy}, '
        f'"histogramComparison": {{"threshold": 0.1, "attributes": "prediction", "scores": {score}, '
        f'"divergedAttributes": "{diverged}"}}}}'
    )
    return event(151, title, description, data)


def alert(call: Any, number: int) -> Line:
    """An alert with a description and data."""
    return Line(
        lambda: call("t", "d", {"rows": [1, None, 2.5], "é": "x"}),
        event(number, "t", "d", r'{"rows": [1, null, 2.5], "\u00e9": "x"}'),
        answers="mlops",
    )


def of_type(kind: EventType, number: int) -> Line:
    """An event of a type."""
    return Line(
        lambda: mlops.set_event("e", kind),
        event(number, "e", "", "null", is_alert=False),
        answers="mlops",
    )


EVENTS: Final = {
    "MLOps.event": Line(
        lambda: mlops.event(Event("e", "words", [1])),
        event(0, "e", "words", "[1]", is_alert=False),
        answers="mlops",
    ),
    "MLOps.event of a text": Line(lambda: mlops.event("e"), answers=REFUSED),  # type: ignore[arg-type]
    "MLOps.set_event": Line(
        lambda: mlops.set_event("e", EventType.Health, {"a": 1}, True),
        event(53, "e", "", '{"a": 1}'),
        answers="mlops",
    ),
    "MLOps.set_event of an event": Line(
        lambda: mlops.set_event(Event("e")), event(0, "e", "", "null", is_alert=False), answers="mlops"
    ),
    "MLOps.set_event with a timestamp": Line(
        lambda: mlops.set_event("e", EventType.System, timestamp=moment(2)),
        f"+2 s {event(54, 'e', '', 'null', is_alert=False)}",
        answers="mlops",
    ),
    "MLOps.set_event of bytes": Line(
        lambda: mlops.set_event("e", EventType.System, b"\x00\xff"),
        event(54, "e", "", r'"\u0000\\xff"', is_alert=False),
        answers="mlops",
    ),
    "MLOps.set_event without a type": Line(lambda: mlops.set_event("e"), answers=REFUSED),
    "MLOps.data_alert": alert(mlops.data_alert, 52),
    "MLOps.data_alert without data": Line(
        lambda: mlops.data_alert("t", None), event(52, "t", "", "null"), answers="mlops"
    ),
    "MLOps.health_alert": alert(mlops.health_alert, 53),
    "MLOps.system_alert": alert(mlops.system_alert, 54),
    "MLOps.canary_alert": Line(
        lambda: mlops.canary_alert("c", True, 0.05, 0.1),
        canary("c", GOOD, "true", "0.05", ""),
        answers="mlops",
    ),
    "MLOps.canary_alert of a bad one": Line(
        lambda: mlops.canary_alert("c", False, 0.25, 0.1),
        canary("c", DIVERGED, "false", "0.25", "prediction"),
        answers="mlops",
    ),
    "events.event.Event": Line(
        lambda: mlops.event(Event("e", "d", {"a": 1}, EventType.Data, True, moment(1))),
        "+1 s " + event(52, "e", "d", '{"a": 1}'),
        answers="mlops",
    ),
    "events.event.Event of an unknown type": Line(lambda: Event("e", event_type="Rain"), answers=REFUSED),
    "events.event.Event of the generic type": Line(
        lambda: mlops.event(Event("e", event_type=GENERIC_EVENT)),
        event(0, "e", "", "null", is_alert=False),
        answers="mlops",
    ),
    "events.data_alert.DataAlert": Line(
        lambda: mlops.event(DataAlert("t", "d", 1)), event(52, "t", "d", "1"), answers="mlops"
    ),
    "events.health_alert.HealthAlert": Line(
        lambda: mlops.event(HealthAlert("t", "d", 1)), event(53, "t", "d", "1"), answers="mlops"
    ),
    "events.system_alert.SystemAlert": Line(
        lambda: mlops.event(SystemAlert("t", "d", 1)), event(54, "t", "d", "1"), answers="mlops"
    ),
    "events.canary_alert.CanaryAlert": Line(
        lambda: mlops.event(CanaryAlert("c", True, 0.05, 0.1)),
        canary("c", GOOD, "true", "0.05", ""),
        answers="mlops",
    ),
    "events.event_type.EventType.Health": of_type(EventType.Health, 53),
    "events.event_type.EventType.Data": of_type(EventType.Data, 52),
    "events.event_type.EventType.System": of_type(EventType.System, 54),
    "events.event_type.EventType.CanaryHealth": of_type(EventType.CanaryHealth, 151),
    "events.event_broker.EventBroker.send_event": Line(
        lambda: EventBroker(mlops).send_event(Event("e")), event(0, "e", "", "null", is_alert=False)
    ),
    "MLOps.set_kpi": Line(lambda: mlops.set_kpi("k", 2.5), scalar("k", 2.5), answers="mlops"),
    "MLOps.set_kpi in seconds": Line(
        lambda: mlops.set_kpi("k", 3, moment_s() + 1.5, KpiValue.TIME_SEC),
        f"+1.5 s {scalar('k', 3)}",
        "mlops",
    ),
    "MLOps.set_kpi in milliseconds": Line(
        lambda: mlops.set_kpi("k", 3, moment_s() * 1000 + 1, KpiValue.TIME_MSEC),
        f"+0.001 s {scalar('k', 3)}",
        "mlops",
    ),
    "MLOps.set_kpi in nanoseconds": Line(
        lambda: mlops.set_kpi("k", 3, moment_s() * 10**9 + 10**9), f"+1 s {scalar('k', 3)}", "mlops"
    ),
    "MLOps.set_kpi at a text": Line(
        lambda: mlops.set_kpi("k", 3, moment(2).isoformat() + "Z"), f"+2 s {scalar('k', 3)}", "mlops"
    ),
    "MLOps.set_kpi at a number in a text": Line(
        lambda: mlops.set_kpi("k", 3, f"{moment_s() + 2}", KpiValue.TIME_SEC),
        f"+2 s {scalar('k', 3)}",
        "mlops",
    ),
    "MLOps.set_kpi of labels": Line(
        lambda: mlops.set_kpi("on-time", 0.75, labels={"carrier": "UA"}), scalar("on-time", 0.75), "mlops"
    ),
    "MLOps.set_kpi of a list": Line(lambda: mlops.set_kpi("k", [1]), answers=REFUSED),
    "MLOps.set_kpi in other units": Line(lambda: mlops.set_kpi("k", 1, 3, "minute"), answers=REFUSED),
}
