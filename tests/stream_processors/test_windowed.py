"""Rules over windows of several series: parts come from several partitions, in any order of partitions."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelm.schemas.records import AggregateKind, Origin, RecordPosition, RuleAggregate
from parallelm.stream_processors.alerts import windowed
from parallelm.stream_processors.alerts.rules import SampleRule, core_of
from parallelm.stream_processors.alerts.windows import WindowSums
from tests.stream_processors.mlapp_judging import assert_legal, definition_of

if TYPE_CHECKING:
    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rules import Progress

SECOND, MINUTE = 1_000, 60_000
NOW = 1_790_000_040_000
SUM = "{name: sum, type: threshold, statistic: x, aggregate: sum, window: 1m, above: 10}"


class Windows:
    """One group; what it remembers passes through JSON after every step, as at a restart."""

    def __init__(self, text: str) -> None:
        rule = core_of("app", definition_of(text).rules[0])
        assert isinstance(rule, SampleRule)
        self.rule = rule
        self.memory: Any = None
        self.due_ms: float | None = None
        self.steps: list[Step] = []

    def part(self, partition: int, samples: list[tuple[float, float]], arrived_ms: int) -> None:
        """What a batch of a partition knows, as the series stage sends it."""
        aggregation = self.rule.settings.aggregation
        assert aggregation is not None
        sums: dict[float, WindowSums] = {}
        for at_ms, value in samples:
            start = at_ms - at_ms % aggregation.window_ms
            sums.setdefault(start, WindowSums()).add(value, sketched=aggregation.function == "quantile")
        starts = sorted(sums)
        record = RuleAggregate(
            origin=Origin(mlapp_id="app", node_id="n", pipeline_instance_id="", agent_id=""),
            kind=AggregateKind.PARTIAL, rule="sum", statistic="x", model_id="", labels={},
            event_time_ms=int(max(at_ms for at_ms, _ in samples)), timestamps_ms=starts,
            values=[
                number
                for start in starts
                for number in (sums[start].count, sums[start].total, sums[start].minimum, sums[start].maximum)
            ],
            data=json.dumps([sums[start].sketch for start in starts]) if sums[starts[0]].sketch else "",
            cause=RecordPosition(topic="statistics", partition=partition, offset=0),
        )  # fmt: skip
        before = json.dumps(self.memory)
        progress = windowed.absorb_part(self.memory, self.rule, record, arrived_ms)
        assert json.dumps(self.memory) == before, "what is stored was changed in place"
        self._take(progress)

    def clock(self, now_ms: int) -> None:
        """All that had arrived by now is handled."""
        if self.memory is not None and self.due_ms is not None and self.due_ms <= now_ms:
            self._take(windowed.on_time(self.memory, self.rule, now_ms))

    def states(self) -> list[tuple[str, float]]:
        """State and value of each step."""
        return [(step.state.value, step.value) for step in self.steps]

    def _take(self, progress: Progress) -> None:
        text = json.dumps(progress.memory)
        assert len(text) < 900_000
        self.memory = json.loads(text)
        self.due_ms = progress.due_ms
        self.steps += progress.steps


def settled(text: str, *partitions: int) -> Windows:
    """A group whose partitions are known: a window before those of the test is over."""
    windows = Windows(text)
    for partition in partitions:
        windows.part(partition, [(NOW - 10 * MINUTE, 0.0)], NOW)
    for partition in partitions:
        windows.part(partition, [(NOW - MINUTE, 0.0)], NOW + 9 * SECOND)
    windows.clock(NOW + MINUTE)
    assert windows.steps == []
    return windows


def test_parts_of_two_partitions_are_one_window_and_are_judged_when_both_are_beyond_it():
    windows = settled(SUM, 0, 1)
    at = NOW + 61 * SECOND
    windows.part(0, [(NOW, 6.0), (NOW + 90 * SECOND, 0.0)], at)
    assert windows.states() == [], "the other partition is not there yet"
    windows.part(1, [(NOW + 59 * SECOND, 5.0)], at)
    windows.part(1, [(NOW + 61 * SECOND, 0.0)], at)
    assert windows.states() == [("firing", 11)]
    assert windows.steps[0].at_ms == NOW + MINUTE
    assert windows.steps[0].reason == "sum of x is 11, above 10"


def test_a_backlog_of_one_partition_waits_for_the_other_however_late_it_is_read():
    """After a downtime one shard is minutes ahead of another; only the clock says that a partition is silent."""
    windows = settled(SUM, 0, 1)
    for minute in range(30):
        windows.part(0, [(NOW + minute * MINUTE, 6.0)], NOW + 61 * SECOND)
    assert windows.states() == []
    for minute in range(30):
        windows.part(1, [(NOW + minute * MINUTE, 6.0)], NOW + 90 * SECOND)
    assert windows.states() == [("firing", 12)]
    windows.clock(NOW + 155 * SECOND)
    assert windows.states() == [("firing", 12)]


def test_the_first_parts_wait_until_all_partitions_have_had_time_to_report():
    windows = Windows(SUM)
    windows.part(0, [(NOW, 6.0), (NOW + 5 * MINUTE, 6.0)], NOW)
    windows.part(1, [(NOW, 6.0), (NOW + 5 * MINUTE, 6.0)], NOW + 9 * SECOND)
    assert windows.states() == []
    windows.clock(NOW + 60 * SECOND)
    assert windows.states() == [("firing", 12)]


def test_a_partition_that_reports_no_more_is_not_waited_for():
    windows = settled(SUM, 0, 1)
    windows.part(0, [(NOW, 12.0), (NOW + 2 * MINUTE, 1.0)], NOW + 62 * SECOND)
    windows.part(0, [(NOW + 2 * MINUTE, 1.0)], NOW + 68 * SECOND)
    windows.clock(NOW + 68 * SECOND)
    assert windows.states() == []
    windows.clock(NOW + 69 * SECOND)
    assert windows.states() == [("firing", 12)]
    windows.clock(NOW + 128 * SECOND)
    assert windows.states() == [("firing", 12), ("resolved", 2)], "nothing comes any more"


def test_what_comes_for_a_window_that_was_judged_is_too_late():
    windows = settled(SUM, 0)
    windows.part(0, [(NOW, 12.0), (NOW + 2 * MINUTE, 0.0)], NOW + 61 * SECOND)
    windows.part(0, [(NOW, -9.0), (NOW + 4 * MINUTE, 0.0)], NOW + 62 * SECOND)
    assert windows.states() == [("firing", 12), ("resolved", 0)]
    assert_legal(windows.steps)


def test_a_group_that_has_stopped_ends_and_is_forgotten():
    windows = Windows(SUM.replace("above", "stale_after: 1h, above"))
    windows.part(0, [(NOW, 12.0)], NOW)
    windows.clock(NOW + MINUTE)
    assert windows.states() == [("firing", 12)]
    for minute in range(2, 200):
        windows.clock(NOW + minute * MINUTE)
    assert [state for state, _ in windows.states()] == ["firing", "resolved"]
    assert windows.memory is None


@pytest.mark.long
def test_many_windows_and_wide_sketches_need_bounded_memory():
    quantile = (
        "{name: q, type: threshold, statistic: x, aggregate: quantile, quantile: 0.5, window: 1s, above: 0.1}"
    )
    windows = Windows(quantile)
    for number in range(200):
        values = [(NOW + number * SECOND, 10.0 ** (exponent / 20 - 8)) for exponent in range(320)]
        windows.part(0, values, NOW)
    windows.part(
        1, [(NOW + 200 * SECOND, sign * 1.03**power) for sign in (1, -1) for power in range(-600, 4_000)], NOW
    )
    group = windowed.Group.from_json(windows.memory)
    assert len(group.windows) <= windowed.MAX_WINDOWS
    assert windows.states()[0][0] == "firing"


VALUES = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(st.one_of(VALUES, st.floats(1e-6, 1e12)), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_are_right_to_one_percent(values: list[float], quantile: float):
    sums = WindowSums()
    for start in range(0, len(values), 7):
        part = WindowSums()
        for value in values[start : start + 7]:
            part.add(value, sketched=True)
        sums.merge(part)
    exact = sorted(values)[math.floor(quantile * (len(values) - 1))]
    assert math.isclose(sums.result("quantile", quantile), exact, rel_tol=0.0101, abs_tol=1e-8)


SAMPLES = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 12)), max_size=25)


@settings(max_examples=80)
@given(first=SAMPLES, second=SAMPLES, data=st.data(), wait=st.sampled_from(["0s", "2m"]))
def test_any_order_of_partitions_gives_the_windows_of_all_samples(
    first: list[tuple[int, int]], second: list[tuple[int, int]], wait: str, data: st.DataObject
):
    windows = settled(SUM.replace("above", f"for: {wait}, max_gap: 1d, above"), 0, 1)
    queues = [sorted(first), sorted(second)]
    while any(queues):
        which = data.draw(st.sampled_from([at for at in (0, 1) if queues[at]]))
        count = data.draw(st.integers(1, 3))
        batch, queues[which] = queues[which][:count], queues[which][count:]
        windows.part(which, [(NOW + at_s * SECOND, float(value)) for at_s, value in batch], NOW + 61 * SECOND)
    windows.clock(NOW + 10 * MINUTE)
    sums: dict[int, float] = {}
    for at_s, value in first + second:
        sums[at_s // 60] = sums.get(at_s // 60, 0) + value
    once = settled(SUM.replace("above", f"for: {wait}, max_gap: 1d, above"), 0)
    for minute, total in sorted(sums.items()):
        once.part(0, [(NOW + minute * MINUTE, total)], NOW + 61 * SECOND)
    once.clock(NOW + 10 * MINUTE)
    assert windows.states() == once.states()
    assert [step.at_ms for step in windows.steps] == [step.at_ms for step in once.steps]
    assert_legal(windows.steps)
