"""Statistics as lines: at most so many points, and no peak is lost, from samples as from the rollup by day."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from parallelm.warehouse.queries import (
    Lines,
    newer_lines,
    reported_span,
    reported_statistics,
    statistic_lines,
)
from tests.warehouse.rows import DAY_MS, T0_MS, insert, statistic

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

SEED = 7


def moment(at_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


@pytest.fixture
def samples(client: Client) -> list[tuple[int, float]]:
    """Three series over 400 days, with gaps, crowds and single peaks."""
    chance = random.Random(SEED)
    found = sorted(
        (
            T0_MS + int(chance.random() ** 2 * 400 * DAY_MS),
            chance.gauss(0, 1) * (100 if chance.random() < 0.01 else 1),
        )
        for _ in range(3000)
    )
    rows = [
        statistic("x", at, value, labels={"line": str(number % 3)})
        for number, (at, value) in enumerate(found)
    ]
    insert(client, "statistics", rows)
    insert(client, "statistics", [statistic("x", T0_MS + 5, float("nan"), labels={"line": "0"})])
    return found


def test_no_peak_is_lost_in_any_window(settings: Settings, samples: list[tuple[int, float]]) -> None:
    chance = random.Random(SEED)
    for _ in range(25):
        width = int(10 ** chance.uniform(4, 10.6))
        start = T0_MS + int(chance.random() * 300 * DAY_MS)
        points = chance.choice([10, 100, 1000, 2000])
        found = statistic_lines(
            settings, "x", mlapp_id="app", start=moment(start), end=moment(start + width), points=points
        )
        # Buckets of a day or more begin with the day in which the window begins.
        first = start // DAY_MS * DAY_MS if found.width_ms >= DAY_MS else start
        last = -(-(start + width) // DAY_MS) * DAY_MS if found.width_ms >= DAY_MS else start + width
        told = f"seed {SEED}: {points} points of {width} ms from {start}"
        for line in found.lines:
            assert len(line.times_ms) <= points, told
            inside = [
                value
                for number, (at, value) in enumerate(samples)
                if str(number % 3) == line.labels["line"] and first <= at < last
            ]
            assert max(line.maxima) == max(inside), told
            assert min(line.minima) == min(inside), told
            assert sum(line.samples) == len(inside), told


def test_what_had_not_arrived_by_a_moment_is_left_out(settings: Settings, client: Client) -> None:
    then = time.time_ns() // 1_000_000 - DAY_MS
    first = statistic("x", T0_MS, 1.0, ingested_at=then)
    later = statistic("x", T0_MS + 400 * DAY_MS, 9.0, ingested_at=then + 5000)
    insert(client, "statistics", [first, later])
    [line] = statistic_lines(settings, "x", mlapp_id="app", known_at=moment(then + 4999), points=10).lines
    assert line.maxima == [1.0]
    [line] = statistic_lines(settings, "x", mlapp_id="app", known_at=moment(then + 5000), points=10).lines
    assert line.maxima == [1.0, 9.0]


def test_the_time_of_all_reports_is_exact(settings: Settings, samples: list[tuple[int, float]]) -> None:
    assert reported_span(settings, "app") == (T0_MS + 5, samples[-1][0] + 1)
    assert reported_span(settings, "nobody") is None
    assert reported_span(settings, "app", besides="x") is None
    assert reported_span(settings, "app", besides="xy") == reported_span(settings, "app")
    [found] = reported_statistics(settings, "app", search="X")
    assert (found.name, found.kind, found.series, found.node_id) == ("x", "LINEGRAPH", 3, "predict")
    assert reported_statistics(settings, "app", search="y") == []


@pytest.mark.parametrize("width_days", [0.5, 900])
def test_ends_of_lines_put_upon_what_was_drawn_are_what_is_drawn_anew(
    settings: Settings, client: Client, samples: list[tuple[int, float]], width_days: float
) -> None:
    start_ms = samples[0][0] + 12_345
    window = {"start": moment(start_ms), "end": moment(start_ms + int(width_days * DAY_MS))}
    drawn = statistic_lines(settings, "x", mlapp_id="app", points=500, **window)
    before = points_of(drawn)
    # On time and late: in the last bucket, after it, long before it, and before all that is drawn.
    arrives = [start_ms - 10 * DAY_MS, start_ms + 1000, start_ms + int(width_days * DAY_MS / 2)]
    last_ms = max(time for time, _ in before)
    arrives += [last_ms + 1, last_ms + 2 * drawn.width_ms]
    room_ms = 2_000 * DAY_MS
    for number, changed_ms in enumerate(arrives):
        rows = [statistic("x", changed_ms, 1000.0 + number, labels={"line": "0"}, _offset=10_000 + number)]
        insert(client, "statistics", rows)
        newer = newer_lines(
            settings,
            "x",
            mlapp_id="app",
            start_ms=start_ms,
            width_ms=drawn.width_ms,
            changed_ms=changed_ms,
            room_ms=room_ms,
        )
        assert newer.start_ms is not None
        kept = {key: value for key, value in before.items() if key[0] < newer.start_ms}
        before = kept | points_of(newer)
        everything = newer_lines(
            settings,
            "x",
            mlapp_id="app",
            start_ms=start_ms,
            width_ms=drawn.width_ms,
            changed_ms=start_ms,
            room_ms=room_ms,
        )
        assert before == points_of(everything)
    assert 1001.0 in [high for _, _, high, _ in before.values()]


def test_ends_of_lines_that_have_no_room_are_not_read(
    settings: Settings, client: Client, samples: list[tuple[int, float]]
) -> None:
    assert client
    first_ms, last_ms = samples[0][0], max(time for time, _ in samples)
    asked = {"mlapp_id": "app", "start_ms": first_ms, "width_ms": 1, "changed_ms": first_ms}
    found = newer_lines(settings, "x", **asked, room_ms=last_ms - first_ms)
    assert found.lines == []
    assert found.end_ms == last_ms + 1
    assert newer_lines(settings, "x", **asked, room_ms=last_ms - first_ms + 1).lines


def points_of(lines: Lines) -> dict[tuple[int, str], tuple[float, float, float, int]]:
    return {
        (time, line.labels["line"]): (round(mean, 9), low, high, samples)
        for line in lines.lines
        for time, mean, low, high, samples in zip(
            line.times_ms, line.means, line.minima, line.maxima, line.samples, strict=True
        )
    }
