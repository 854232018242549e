"""Installations for the tests of captures: topics, tables and a sink, and an MLApp with a record of every kind."""

from __future__ import annotations

import dataclasses
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from parallelm.schemas import topics
from tests.conftest import settings_of_a_test
from tests.sinks import samples
from tests.sinks.conftest import Platform
from tests.sinks.samples import T0_MS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.made_once import MadeOnce

DAY_MS = 86_400_000
START_MS, END_MS = T0_MS - DAY_MS, T0_MS + 2 * DAY_MS
HTML = "<p>\N{SNOWMAN}, “a”\nb</p>"
COUNTED = {
    "actions": 1,
    "actuals": 2,
    "agents": 1,
    "alert_transitions": 3,
    "deployment_transitions": 4,
    "events": 2,
    "histograms": 2,
    "kpis": 5,
    "mlapps": 2,
    "models": 2,
    "predictions": 2,
    "run_transitions": 4,
    "statistics": 9,
    "structured_statistics": 3,
}
"""Rows of each table that the capture from ``START_MS`` to ``END_MS`` holds."""


@contextmanager
def installation(stack: Settings, made_once: MadeOnce, folder: Path) -> Iterator[Platform]:
    """Topics, tables and a running sink."""
    with settings_of_a_test(stack, folder) as own, made_once.lent(own) as settings:
        platform = Platform(settings)
        with platform.sink():
            yield platform
        platform.client.disconnect()


def seed(platform: Platform) -> None:
    """Send an MLApp's records of every kind, and wait until the tables have them."""
    for topic, record in _records():
        key = topic.key(record) if topic is not topics.AGENTS else b"host-1"
        platform.send(topic, record, key=key, flush=False)
    platform.flush()
    platform.wait("SELECT count() FROM agents", 1)
    platform.wait("SELECT count() FROM statistics", 11)
    platform.wait("SELECT count() FROM deployment_transitions", 5)
    platform.wait("SELECT count() FROM alert_transitions", 5)
    for table in (
        "actions",
        "kpis",
        "models",
        "events",
        "structured_statistics",
        "predictions",
        "actuals",
        "mlapps",
        "run_transitions",
    ):
        least = COUNTED[table]
        platform.wait(f"SELECT count() >= {least} FROM {table}", 1)


def _records() -> Iterator[tuple[topics.Topic, Any]]:
    before = T0_MS - 10 * DAY_MS
    yaml = "mlapp: app\nnodes: [{id: predict, type: model_consumer}]\n"
    for version, at_ms in ((1, before), (2, T0_MS), (3, END_MS + 1)):
        yield (
            topics.MLAPPS,
            samples.definition(version=version, event_time_ms=at_ms, source_yaml=f"{yaml}# {version}\n"),
        )
    yield topics.MODELS, samples.model("m-0", event_time_ms=before, name="old")
    yield topics.MODELS, samples.model("m-1", annotations={"auc": "0.7", "é": '"<b>"'})
    yield topics.MODELS, samples.model("m-9", event_time_ms=before)
    for state, at_ms in (("active", before), ("superseded", T0_MS)):
        yield topics.DEPLOYMENTS, samples.deployment(state, "m-0", at_ms, attempt=1)
    for state, at_ms in (("requested", T0_MS - 5), ("active", T0_MS)):
        yield topics.DEPLOYMENTS, samples.deployment(state, "m-1", at_ms, attempt=2)
    yield topics.DEPLOYMENTS, samples.deployment("superseded", "m-1", END_MS, attempt=2)
    for state, at_ms in (("pending", T0_MS), ("firing", T0_MS + 1), ("resolved", T0_MS + DAY_MS)):
        yield topics.ALERTS, samples.alert(state, at_ms, labels={"agent": "host-1", "feature": "<temp>"})
    for state in ("firing", "resolved"):  # over before the range begins
        yield topics.ALERTS, samples.alert(state, before, alert_id="a-0", transition_id=f"old-{state}")
    yield topics.ACTIONS, samples.action()
    yield topics.AGENTS, samples.agent()
    for state, at_ms in (("waiting", before), ("running", T0_MS), ("failed", T0_MS + 5)):
        yield topics.RUNS, samples.run_transition(state, at_ms=at_ms)
    for at_ms in (before, T0_MS):
        yield topics.RUNS, samples.run_transition("launched", "", at_ms, transition_id=f"launched-{at_ms}")
    for state in ("running", "succeeded"):  # over before the range begins
        yield topics.RUNS, samples.run_transition(state, "r-0", at_ms=before)
    yield topics.EVENTS, samples.event(title="odd, “quoted”\nline")
    yield (
        topics.EVENTS,
        samples.event(
            event_id="p-1/9",
            type="ModelAccepted",
            is_alert=False,
            content_type="application/json",
            data=b'{"a": "b"}',
        ),
    )
    yield topics.EVENTS, samples.event(event_id="late", event_time_ms=END_MS)
    yield (
        topics.KPIS,
        samples.kpis(
            ("rate", {}, T0_MS, 0.75), ("rate", {"carrier": "UA"}, T0_MS, 0.5), ("gone", {}, T0_MS, 1.0)
        ),
    )
    yield topics.KPIS, samples.kpis(("rate", {}, T0_MS, 0.8), seq=1)
    gone = samples.kpis(("gone", {}, T0_MS, 1.0), ("rate", {}, END_MS, 9.0), seq=2)
    points = [dataclasses.replace(each, withdrawn=each.name == "gone") for each in gone.points]
    yield topics.KPIS, dataclasses.replace(gone, points=points)
    yield topics.STRUCTURED_STATISTICS, samples.structured(seq=10)
    yield (
        topics.STRUCTURED_STATISTICS,
        samples.structured(
            seq=11,
            name="page",
            graph_type="HTML",
            content_type="text/html",
            data=HTML.encode(),
            histograms=(),
        ),
    )
    yield (
        topics.STRUCTURED_STATISTICS,
        samples.structured(
            seq=12, name="blob", graph_type="OPAQUE", content_type="application/octet-stream", data=b"\xff\x00",
            histograms=(),
        ),
    )  # fmt: skip
    yield (
        topics.PREDICTIONS,
        samples.predictions(["f-1", "f-2"], scores=[0.25, 0.75], features={"hour": ["7", ""]}),
    )
    yield topics.ACTUALS, samples.actuals({"f-1": "1", "f-2": "0"})
    times = [float(T0_MS + number * 1000) for number in range(3)]
    lines = [samples.series(times[:2], [1.0, 2.0], "latency", {"line": line}) for line in ("worst", "median")]
    yield (
        topics.STATISTICS,
        samples.batch(samples.series(times, [100.0, 50.0, math.nan]), *lines, seq=20),
    )
    yield (
        topics.STATISTICS,
        samples.batch(
            samples.series(times[:1], [math.inf], "odd “name”", {"carrier": "UA"}),
            samples.series([float(T0_MS), float(END_MS)], [1.0, 2.0], "edge"),
            seq=21,
        ),
    )
    yield topics.STATISTICS, samples.batch(samples.series([float(START_MS - 1)], [7.0]), seq=22)
