"""Samples carry their time as a float: every path agrees on its millisecond."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mlops import MLOps, mlops
from parallelm.mlops._delivery.drops import DropCounter
from parallelm.mlops._delivery.encoding.batches import BatchEncoder
from parallelm.mlops._reporting.samples import SampleQueue, queued_time_s
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.metrics_constants import RegressionMetrics
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.table import Table
from parallelm.mlops.stats_category import StatCategory
from parallelm.mlops.testing import Captured, capture
from parallelm.schemas import records
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.times import MAX_TIME_MS, MIN_TIME_MS, number_ns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

registry = PackagedRegistry()
codec = Codec(registry)
origin = records.Origin(mlapp_id="a", node_id="n", pipeline_instance_id="p", agent_id="h")
DAY = pd.Period("2026-03-01", "D")
LAST_MS = 1_772_409_599_999
"""23:59:59.999 of that day."""


def sent_ms(times_s: list[float]) -> list[int]:
    encoder = BatchEncoder(registry, origin, "p", DropCounter())
    (batch,) = encoder.encode([("x", 1.0, time_s) for time_s in times_s], lambda: 0)
    return [
        int(time_ms) for time_ms in codec.decode(batch.value, records.StatisticsBatch).series[0].timestamps_ms
    ]


@given(
    st.lists(st.integers(MIN_TIME_MS * 1_000_000, MAX_TIME_MS * 1_000_000 + 999_999), min_size=1, max_size=50)
)
def test_a_time_that_was_given_is_floored_to_its_millisecond(moments_ns: list[int]) -> None:
    assert sent_ms([queued_time_s(moment_ns) for moment_ns in moments_ns]) == [
        moment_ns // 1_000_000 for moment_ns in moments_ns
    ]


@given(st.integers(-2_000_000_000_000_000, 2_145_916_800_000_000))
def test_the_clock_is_floored_to_its_millisecond_as_the_same_number_in_a_call_is(moment_us: int) -> None:
    clock_s = moment_us / 1e6
    assert sent_ms([clock_s]) == [moment_us // 1_000] == [number_ns(clock_s, "second") // 1_000_000]


REPORTS: dict[str, Callable[[Any], object]] = {
    "number": lambda at: mlops.set_stat("x", 1.0, timestamp=at),
    "whole number": lambda at: mlops.set_stat("x", 1, timestamp=at),
    "configuration": lambda at: mlops.set_stat("x", 1, StatCategory.CONFIG, at),
    "lines": lambda at: mlops.set_stat(MultiLineGraph().name("x").labels(["a"]).data([1]), timestamp=at),
    "table": lambda at: mlops.set_stat(Table().name("x").cols(["a"]).add_row([1]), timestamp=at),
    "metric": lambda at: mlops.set_stat(RegressionMetrics.R2_SCORE, 0.5, timestamp=at),
    "kpi": lambda at: mlops.set_kpi("x", 1, at),
    "kpi object": lambda at: mlops.set_stat(KpiValue("x", 1, at)),
    "event": lambda at: mlops.set_event("x", EventType.System, timestamp=at),
    "event object": lambda at: mlops.event(Event("x", timestamp=at)),
    "distribution": lambda at: mlops.set_data_distribution_stat(np.arange(30.0), timestamp=at),
    "model's number": lambda at: mlops.Model("m", ModelFormat.TEXT).set_stat("x", 1, timestamp=at),
    "model's kpi": lambda at: mlops.Model("m", ModelFormat.TEXT).set_kpi("x", 1, at),
}


def times_of(reported: Captured) -> set[int]:
    records_ = [*reported.structured, *reported.events, *reported.models]
    return (
        {sample.time_ms for sample in reported.samples}
        | {point.timestamp_ms for point in reported.kpis}
        | {record.event_time_ms for record in records_}
    )


@pytest.mark.parametrize("kind", REPORTS)
def test_the_last_instant_of_a_day_lies_on_it_in_every_call(kind: str) -> None:
    last_ns = LAST_MS * 1_000_000 + 999_999
    with capture() as reported:
        for at in (DAY.end_time, last_ns, "2026-03-01T23:59:59.999999999", np.datetime64(last_ns, "ns")):
            REPORTS[kind](at)
        with mlops.event_time(DAY.end_time):
            REPORTS[kind](None)
    assert times_of(reported) == {LAST_MS}


WITH_UNITS: dict[str, Callable[..., object]] = {
    "number": lambda at, units: mlops.set_stat("x", 1.0, timestamp=at, units=units),
    "kpi": lambda at, units: mlops.set_kpi("x", 1, at, units),
    "kpi object": lambda at, units: mlops.set_stat(KpiValue("x", 1, at, units)),
    "event": lambda at, units: mlops.set_event("x", EventType.System, timestamp=at, units=units),
    "event object": lambda at, units: mlops.event(Event("x", timestamp=at, units=units)),
    "distribution": lambda at, units: mlops.set_data_distribution_stat(
        np.arange(30.0), timestamp=at, units=units
    ),
    "model's number": lambda at, units: mlops.Model("m", ModelFormat.TEXT).set_stat(
        "x", 1, timestamp=at, units=units
    ),
    "model's kpi": lambda at, units: mlops.Model("m", ModelFormat.TEXT).set_kpi("x", 1, at, units),
    "model's distribution": lambda at, units: mlops.Model("m", ModelFormat.TEXT).set_data_distribution_stat(
        np.arange(30.0), timestamp=at, units=units
    ),
}


@pytest.mark.parametrize("kind", WITH_UNITS)
def test_every_call_that_takes_a_time_takes_its_units(kind: str) -> None:
    with capture() as reported:
        WITH_UNITS[kind](LAST_MS / 1_000, KpiValue.TIME_SEC)
        WITH_UNITS[kind](LAST_MS, KpiValue.TIME_MSEC)
        WITH_UNITS[kind](LAST_MS * 1_000 + 999, KpiValue.TIME_USEC)
        WITH_UNITS[kind](LAST_MS * 1_000_000 + 999_999, KpiValue.TIME_NSEC)
        for number, units in ((LAST_MS, KpiValue.TIME_SEC), (LAST_MS // 1_000, KpiValue.TIME_MSEC)):
            with pytest.raises(MLOpsException, match="units="):
                WITH_UNITS[kind](number, units)
    assert times_of(reported) == {LAST_MS}


def test_a_block_gives_its_time_to_the_samples_of_every_session() -> None:
    other = SampleQueue()
    with mlops.event_time(DAY.end_time):
        later = SampleQueue()
        assert sent_ms([other.clock(), later.clock()]) == [LAST_MS, LAST_MS]
    before_ms = time.time_ns() // 1_000_000
    assert before_ms <= sent_ms([other.clock()])[0] <= time.time_ns() // 1_000_000 + 1


def test_a_published_model_has_the_time_of_its_block(tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text("weights")
    with capture() as reported, mlops.event_time(DAY.end_time):
        model = mlops.Model("m", ModelFormat.TEXT)
        model.set_model_path(str(tmp_path / "m.txt"))
        mlops.publish_model(model)
    assert times_of(reported) == {LAST_MS}


@pytest.mark.parametrize("text", ["1704067200", "20240101.5", "2024-13-01"])
def test_an_event_time_of_the_environment_is_not_taken_silently(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCENTER_EVENT_TIME", text)
    with pytest.raises(MLOpsException, match=r"MCENTER_EVENT_TIME=.* must be a time in ISO 8601"):
        MLOps().init()


@pytest.mark.parametrize("kind", REPORTS)
def test_the_clock_without_its_units_is_refused_in_every_call(kind: str) -> None:
    with capture() as reported:
        for number in (time.time(), int(time.time()), time.time_ns() // 1_000_000, f"{time.time():.3f}"):
            with pytest.raises(MLOpsException, match=r"units='(milli)?second'"):
                REPORTS[kind](number)
    assert times_of(reported) == set()
