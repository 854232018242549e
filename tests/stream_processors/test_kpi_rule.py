"""``kpi``: thresholds on business KPIs whose points come late and are revised."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelm.definitions import DefinitionError
from parallelm.schemas.records import KpiBatch, KpiPoint, Origin
from tests.stream_processors.mlapp_judging import Judge, assert_legal, definition_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from parallelm.stream_processors.alerts.lifecycle import Step

DAY = 86_400_000
NOW = 1_000 * DAY
LOW = "{name: low, type: kpi, kpi: share, below: 0.5}"


def batch(
    points: Iterable[tuple[float, float]], labels: Mapping[str, str] | None = None, name: str = "share"
) -> KpiBatch:
    """Points by day."""
    return KpiBatch(
        origin=Origin(mlapp_id="app", node_id="", pipeline_instance_id="", agent_id=""), producer_id="p", seq=0, source="f",
        points=[
            KpiPoint(name=name, labels=labels or {}, timestamp_ms=int(day * DAY), value=value, model_id="")
            for day, value in points
        ],
    )  # fmt: skip


class Row(NamedTuple):
    """One episode as ``alerts_current`` shows it."""

    state: str
    fired: float | None
    over: float | None


def rows(steps: Sequence[Step]) -> dict[float, Row]:
    """Episodes by start, without the steps that later ones correct, as the warehouse's view."""
    wrong: set[int] = set()
    for number, step in enumerate(steps):
        if step.revises is not None:
            candidates = [
                at
                for at, earlier in enumerate(steps[:number])
                if (earlier.state, earlier.at_ms, earlier.started_ms) == tuple(step.revises)
            ]
            assert candidates, f"{step} corrects what was never sent"
            wrong.add(candidates[-1])
    found: dict[float, list[Step]] = {}
    for number, step in enumerate(steps):
        if number not in wrong:
            found.setdefault(step.started_ms, []).append(step)
    return {
        started_ms: Row(
            ends[-1].state.value,
            min((step.at_ms for step in ends if step.state == "firing"), default=None),
            max((step.at_ms for step in ends if step.state == "resolved"), default=None)
            if ends[-1].state == "resolved"
            else None,
        )
        for started_ms, ends in found.items()
    }


def states(steps: Iterable[Step]) -> list[tuple[str, float, bool]]:
    return [(step.state.value, step.at_ms / DAY, step.revises is not None) for step in steps]


def test_points_are_judged_by_their_own_time():
    judge = Judge(LOW)
    judge.record(batch([(1, 0.6), (2, 0.4), (3, 0.5)]), NOW)
    fired, resolved = judge.steps[()]
    assert (fired.at_ms, fired.value, fired.threshold, fired.reason) == (
        2 * DAY,
        0.4,
        0.5,
        "share is 0.4, below 0.5",
    )
    assert (resolved.at_ms, resolved.reason) == (3 * DAY, "share is 0.5, no longer below 0.5")
    assert_legal([fired, resolved])


def test_a_revision_that_takes_the_breach_away_resolves_with_the_reason_revised():
    judge = Judge(LOW)
    judge.record(batch([(1, 0.6), (2, 0.4)]), NOW)
    judge.record(batch([(2, 0.7)]), NOW)
    assert states(judge.steps[()]) == [("firing", 2, False), ("resolved", 2, True)]
    revised = judge.steps[()][1]
    assert (revised.reason, revised.revises) == ("revised", ("firing", 2 * DAY, 2 * DAY))
    assert rows(judge.steps[()]) == {2 * DAY: Row("resolved", None, 2 * DAY)}


def withdrawn(*days: float) -> KpiBatch:
    """Withdrawals of points, with whatever value they had."""
    sent = batch([(day, 0.1) for day in days])
    return replace(sent, points=[replace(point, withdrawn=True) for point in sent.points])


def test_a_withdrawn_point_is_as_if_it_had_never_come():
    judge = Judge(LOW)
    judge.record(batch([(1, 0.6), (2, 0.4)]), NOW)
    judge.record(withdrawn(2, 9), NOW)
    assert states(judge.steps[()]) == [("firing", 2, False), ("resolved", 2, True)]
    assert judge.steps[()][1].reason == "revised"
    judge.record(batch([(2, 0.3)]), NOW)
    assert states(judge.steps[()])[2:] == [("firing", 2, False)], "it may be uploaded again"
    judge.record(withdrawn(1, 2), NOW)
    assert rows(judge.steps[()]) == {2 * DAY: Row("resolved", None, 2 * DAY)}
    judge.record(batch([(3, 0.3)]), NOW)
    assert states(judge.steps[()])[-1] == ("firing", 3, False)


def test_a_withdrawn_end_lets_the_breach_go_on():
    judge = Judge(LOW)
    judge.record(batch([(1, 0.4), (2, 0.7), (3, 0.4)]), NOW)
    judge.record(withdrawn(2), NOW)
    assert rows(judge.steps[()])[DAY] == Row("firing", DAY, None)


def test_a_revision_that_breaches_fires_dated_at_its_bucket():
    judge = Judge(LOW)
    judge.record(batch([(1, 0.6), (2, 0.7), (3, 0.8)]), NOW)
    judge.record(batch([(2, 0.3)]), NOW)
    assert states(judge.steps[()]) == [("firing", 2, False), ("resolved", 3, False)]


def test_an_end_that_is_revised_fires_again_in_the_same_episode():
    judge = Judge(LOW)
    judge.record(batch([(1, 0.4), (2, 0.7)]), NOW)
    judge.record(batch([(2, 0.2)]), NOW)
    assert states(judge.steps[()])[2:] == [("firing", 2, True)]
    assert judge.steps[()][2].reason.startswith("revised")
    assert rows(judge.steps[()]) == {DAY: Row("firing", DAY, None)}


def test_the_same_points_again_change_nothing():
    judge = Judge(LOW)
    for _ in range(3):
        judge.record(batch([(1, 0.4), (2, 0.7)]), NOW)
    assert len(judge.steps[()]) == 2


def test_a_late_point_finds_its_place():
    judge = Judge("{name: low, type: kpi, kpi: share, below: 0.5, for: 2d, max_gap: 2d}")
    judge.record(batch([(1, 0.4), (3, 0.4)]), NOW)
    judge.record(batch([(2, 0.9)]), NOW)
    assert rows(judge.steps[()]) == {
        DAY: Row("inactive", None, None) if rows(judge.steps[()])[DAY].state == "inactive" else Row("resolved", None, 3 * DAY),
        3 * DAY: Row("pending", None, None),
    }  # fmt: skip


def test_windows_wait_until_they_are_over():
    judge = Judge("{name: low, type: kpi, kpi: sales, aggregate: sum, window: 1d, by: [shop], below: 10}")
    judge.record(batch([(999.9, 4.0)], {"shop": "a", "till": "1"}, "sales"), NOW)
    judge.record(batch([(999.9, 7.0)], {"shop": "a", "till": "2"}, "sales"), NOW)
    judge.record(batch([(1_000.1, 1.0)], {"shop": "b"}, "sales"), NOW)
    judge.clock(NOW + 9_999)
    assert judge.states(shop="a") == []
    judge.clock(NOW + 10_000)
    assert judge.states(shop="a") == [], "the sum of both tills is eleven"
    judge.record(batch([(999.9, 2.0)], {"shop": "a", "till": "2"}, "sales"), NOW + DAY // 2)
    assert judge.states(shop="a") == [("firing", NOW)]
    assert judge.steps[("shop", "a"),][0].reason == "sum of sales is 6, below 10"
    judge.clock(NOW + DAY - 1)
    assert judge.states(shop="b") == [], "its day is not over"
    judge.clock(NOW + DAY)
    assert judge.states(shop="b") == [("firing", NOW + DAY)]


def test_what_is_not_watched_and_values_that_are_none():
    judge = Judge("{name: low, type: kpi, kpi: share, match: {carrier: UA}, below: 0.5}")
    judge.record(batch([(1, 0.1)], {"carrier": "AA"}), NOW)
    judge.record(batch([(1, 0.1)], {"carrier": "UA"}, "other"), NOW)
    judge.record(batch([(1, float("nan")), (4_000_000, 0.1)], {"carrier": "UA"}), NOW)
    assert judge.memories == {}
    judge.record(batch([(1, float("-inf"))], {"carrier": "UA", "x": "y"}), NOW)
    assert judge.states(carrier="UA", x="y") == [("firing", DAY)]


def test_a_point_far_ahead_is_judged_at_the_broker_s_time():
    judge = Judge(LOW)
    judge.record(batch([(9_000, 0.4)]), NOW)
    judge.record(batch([(1_000.5, 0.9)]), NOW + DAY)
    assert states(judge.steps[()]) == [("firing", 1_000, False), ("resolved", 1_000.5, False)]


def test_a_kpi_that_stops_is_forgotten_and_memory_is_bounded():
    judge = Judge("{name: low, type: kpi, kpi: share, below: 0.5, stale_after: 10d}")
    for first in range(0, 2_000, 100):
        judge.record(batch([(day / 10, day % 2) for day in range(first, first + 100)]), NOW)
        assert len(json.dumps(judge.memories[()])) < 60_000
    assert_legal(judge.steps[()])
    count = len(judge.steps[()])
    judge.record(batch([(1, 1.0), (1.1, 0.0)]), NOW)
    assert len(judge.steps[()]) == count, "what is final is not judged again"
    judge.record(batch([(200, 0.0)]), NOW)
    judge.clock(NOW + 10 * DAY)
    assert states(judge.steps[()])[-1] == ("resolved", 210, False)
    assert judge.memories == {}


VALUES = st.sampled_from([0.1, 0.4, 0.5, 0.9])
POINTS = st.lists(st.tuples(st.integers(0, 12), VALUES), max_size=25)


@settings(max_examples=200)
@given(
    points=POINTS, wait=st.sampled_from(["0s", "2d"]), keep=st.sampled_from(["0s", "2d"]), windows=st.booleans(),
    sizes=st.lists(st.integers(1, 4), max_size=25),
)  # fmt: skip
def test_whatever_comes_when_the_end_is_as_if_it_had_come_in_order_and_once(
    points: list[tuple[int, float]], wait: str, keep: str, *, windows: bool, sizes: list[int]
):
    more = ", aggregate: avg, window: 2d" if windows else ""
    text = f"{{name: low, type: kpi, kpi: share, below: 0.5, for: {wait}, keep_firing_for: {keep}, max_gap: 5d{more}}}"
    judge, rest = Judge(text), list(points)
    for size in [*sizes, len(rest)]:
        if rest[:size]:
            judge.record(batch(rest[:size]), NOW)
        rest = rest[size:]
        if windows and size == 1:
            judge.clock(NOW + 20_000)
    judge.clock(NOW + 20_000)
    once = Judge(text)
    if points:
        once.record(batch(sorted(dict(points).items())), NOW)
    once.clock(NOW + 20_000)
    assert_legal(once.steps[()])
    expected, found = rows(once.steps[()]), rows(judge.steps[()])
    assert expected == {started_ms: row for started_ms, row in found.items() if started_ms in expected}
    for started_ms, row in found.items():
        if started_ms not in expected:
            assert row.fired is None
            assert row.state in {"resolved", "inactive"}


def test_every_correction_has_an_id_of_its_own():
    judge = Judge(LOW)
    for value in (0.4, 0.9, 0.4, 0.9):
        judge.record(batch([(2, value)]), NOW)
    assert states(judge.steps[()]) == [
        ("firing", 2, False), ("resolved", 2, True), ("firing", 2, False), ("resolved", 2, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{name: a, type: kpi, below: 1}", "alerts[0].kpi is missing"),
        ("{name: a, type: kpi, kpi: k}", "a kpi rule needs exactly one of 'above' and 'below'"),
        ("{name: a, type: kpi, kpi: k, above: 1, below: 2}", "a kpi rule needs exactly one of 'above' and 'below'"),
        ("{name: a, type: kpi, kpi: k, above: 1, window: 1d}", "'aggregate' and 'window' belong together"),
        ("{name: a, type: kpi, kpi: k, above: 1, aggregate: avg}", "'aggregate' and 'window' belong together"),
        ("{name: a, type: kpi, kpi: k, above: 1, by: [x]}", "'by' needs 'aggregate'"),
        ("{name: a, type: kpi, kpi: k, above: 1, aggregate: avg, window: 0s}", "alerts[0].window is '0s': should be greater than 0"),
        ("{name: a, type: kpi, kpi: k, above: 1, match_pattern: {x: '('}}", "'(' is not a regular expression"),
        ("{name: a, type: kpi, kpi: k, above: .inf}", "alerts[0].above must be a finite number"),
    ],
)  # fmt: skip
def test_a_form_that_makes_no_sense_is_refused(rule: str, expected: str):
    with pytest.raises(DefinitionError) as caught:
        definition_of(rule)
    assert expected in str(caught.value)
