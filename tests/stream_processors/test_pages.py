"""What is remembered of watched series: on how many records, how large, and when it goes; and records that are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.records import ProcessorState
from parallelm.stream_processors.alerts.rules.threshold import ThresholdRule
from parallelm.stream_processors.runtime.stored_state import MAX_VALUE_BYTES
from parallelm.stream_processors.runtime.transactions import MAX_OUTPUT_BYTES
from parallelm.stream_processors.series_stage.handler import MAX_ORIGIN_BYTES
from parallelm.stream_processors.series_stage.lookup import MAX_MODEL_BYTES, MAX_TEXT_BYTES

from .stages import CODEC, series_of

if TYPE_CHECKING:
    from .stages import Stages

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
NODES = "nodes: [{id: n, type: model_producer}]\n"
HIGH = "name: high, type: threshold, statistic: x, above: 200"


def definition(*rules: str) -> str:
    return NODES + ("alerts:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules) if rules else "")


def sizes(stages: Stages) -> dict[str, int]:
    """Bytes of each page by its name."""
    return {
        json.loads(key)[2]: len(CODEC.decode(value, ProcessorState).body)
        for key, value in stages.series.stored.items()
    }


def report(stages: Stages, count: int, value: float = 300, *, text: str = "s", first: int = 0) -> None:
    """One record of many series of ``x``."""
    at_ms = stages.now_ms
    stages.statistics(
        [
            series_of("x", [(at_ms, value)], labels={"of": f"{text}{number}"})
            for number in range(first, first + count)
        ]
    )


def test_more_series_than_fit_a_page_lie_on_several_and_come_back_from_each(stages: Stages):
    stages.apply(definition(HIGH))
    report(stages, 2_000)
    assert stages.settle().states() == ["firing"] * 2_000
    assert len(sizes(stages)) > 2
    assert max(sizes(stages).values()) < MAX_VALUE_BYTES
    stages.restart()
    stages.now_ms += SECOND
    report(stages, 2_000)
    assert len(stages.settle().states()) == 2_000, "all of them are known to be firing"
    report(stages, 2_000, 0)
    assert stages.settle().states()[2_000:] == ["resolved"] * 2_000


@pytest.mark.parametrize("text", ["\x01" * 3_000, "\U0001f600" * 3_000, "é" * 3_000, "s" * 20])
@pytest.mark.parametrize("more", ["", ", grace: 1h"])
def test_a_page_is_never_too_large_for_a_record(stages: Stages, text: str, more: str):
    stages.apply(definition(HIGH + more))
    at_ms = stages.now_ms - HOUR
    samples = [(at_ms + number, 1.797e308) for number in range(1_500 if more else 1)]
    for number in range(20):
        stages.statistics([series_of("x", samples, labels={text: f"{number}"}, model="m" * 900)])
    assert stages.letters == []
    assert max(sizes(stages).values()) < MAX_VALUE_BYTES


def test_a_page_goes_when_its_series_go(stages: Stages):
    stages.apply(definition(HIGH + ", stale_after: 10m"))
    report(stages, 1_000)
    full = len(sizes(stages))
    stages.wait(5 * MINUTE)
    report(stages, 1, 0)
    stages.wait(HOUR)
    assert full > 1
    assert stages.states().count("resolved") == 1_000
    stages.wait(10 * MINUTE)
    assert stages.series.stored == {}
    stages.restart()
    report(stages, 1)
    assert stages.settle().states().count("firing") == 1_001


@pytest.mark.parametrize("restart", [True, False])
def test_room_that_one_rule_leaves_is_another_s(stages: Stages, restart: bool):
    other = HIGH.replace("high", "other").replace("x", "y")
    stages.apply(definition(HIGH, other))
    report(stages, 600)
    stages.sample(300, name="y")
    before = set(sizes(stages))
    if restart:
        stages.restart()
    stages.apply(definition(other))
    stages.wait(0)
    assert len(sizes(stages)) == 1
    stages.apply(definition(HIGH, other))
    report(stages, 600)
    assert set(sizes(stages)) == before


def test_what_rules_that_are_gone_remembered_is_gone_after_a_restart(stages: Stages):
    stages.apply(definition(HIGH))
    report(stages, 1_000)
    stages.apply(definition())
    stages.restart()
    stages.wait(0)
    assert stages.series.stored == {}
    assert stages.open() == {}


@pytest.mark.parametrize(
    ("size", "what"),
    [
        (MAX_TEXT_BYTES + 1, "labels"),
        (40_000, "labels"),
        (MAX_MODEL_BYTES + 1, "model"),
        (MAX_ORIGIN_BYTES + 1, "agent"),
    ],
)
@pytest.mark.parametrize("rule", [HIGH, HIGH + ", aggregate: sum, by: [of]"])
def test_texts_too_long_to_be_remembered_make_a_dead_letter_and_the_next_record_is_judged(
    stages: Stages, size: int, what: str, rule: str
):
    stages.apply(definition(rule))
    text = "s" * size
    good = series_of("x", [(stages.now_ms, 300)])
    bad = series_of(
        "x",
        [(stages.now_ms, 300)],
        labels={"of": text} if what == "labels" else {},
        model=text if what == "model" else "",
    )
    stages.statistics([good, bad], agent=text if what == "agent" else "host")
    fits = "aggregate" in rule and size == 40_000
    assert len(stages.letters) == (0 if fits else 1)
    if not fits:
        assert "at most" in str(stages.letters[0])
        assert stages.settle().alerts == []
        assert stages.series.stored == {}
    stages.statistics([good])
    stages.wait(2 * MINUTE)
    assert "firing" in stages.states()


def test_long_texts_that_nobody_watches_are_no_fault(stages: Stages):
    stages.apply(definition(HIGH))
    stages.statistics([series_of("y", [(stages.now_ms, 300)], labels={"of": "s" * 500_000})])
    assert stages.letters == []


def test_a_record_that_raises_in_the_middle_changes_nothing(stages: Stages, monkeypatch: pytest.MonkeyPatch):
    stages.apply(definition(HIGH, HIGH.replace("high", "sum").replace("x", "w") + ", aggregate: sum", HIGH.replace("high", "late").replace("x", "y")))  # fmt: skip
    stages.sample(300)
    stages.now_ms += SECOND
    before = stages.settle().states(), stages.series.stored
    judge = ThresholdRule.judge

    def broken(
        self: ThresholdRule, detector: object, at_ms: float, value: float
    ) -> tuple[object, bool | None]:
        if self.settings.name == "late":
            raise ZeroDivisionError
        return judge(self, detector, at_ms, value)

    at_ms = stages.now_ms
    record = [series_of(name, [(at_ms, value)]) for name, value in (("x", 0), ("w", 300), ("y", 1))]
    with monkeypatch.context() as patch:
        patch.setattr(ThresholdRule, "judge", broken)
        stages.statistics(record)
    assert [type(error) for error in stages.letters] == [ZeroDivisionError]
    assert (stages.settle().states(), stages.series.stored) == before
    stages.statistics(record)
    assert stages.settle().states() == ["firing", "resolved"]


def test_a_batch_whose_transaction_fails_is_judged_once(stages: Stages):
    stages.apply(definition(HIGH, HIGH.replace("high", "sum") + ", aggregate: sum, window: 1s"))
    for value in (300, 0, 300):
        stages.statistics([series_of("x", [(stages.now_ms, value)])], fails=True)
        stages.now_ms += SECOND
    stages.wait(5 * MINUTE)
    found = [(each.rule, each.state.value, each.value) for each in stages.alerts]
    for rule in ("high", "sum"):
        expected = [(rule, "firing", 300), (rule, "resolved", 0), (rule, "firing", 300)]
        assert [each for each in found if each[0] == rule] == expected


@pytest.mark.parametrize("no_data", ["ok", "alerting", "keep"])
def test_a_series_without_a_usable_sample_costs_nothing_and_stops_nothing(stages: Stages, no_data: str):
    stages.apply(definition(HIGH + f", no_data: {no_data}, stale_after: 1m"))
    nan = series_of("x", [(stages.now_ms, float("nan"))], labels={"of": "nan"})
    good = series_of("x", [(stages.now_ms, 0)])
    stages.statistics([nan])
    assert stages.series.stored == {}
    stages.statistics([nan, good])
    stages.restart()
    stages.wait(10 * DAY)
    assert stages.letters == []
    assert stages.states() == (["firing"] if no_data == "alerting" else [])


def test_parts_of_many_windows_fit_their_records(stages: Stages, monkeypatch: pytest.MonkeyPatch):
    stages.apply(definition(HIGH + ", aggregate: quantile, quantile: 0.5, window: 1s"))
    start = stages.now_ms - 30_000 * SECOND
    sent: list[int] = []
    write = type(stages).write

    def watched(self: Stages, topic: str, mlapp: str, record: object) -> None:
        sent.append(len(CODEC.encode(record)))
        write(self, topic, mlapp, record)

    monkeypatch.setattr(type(stages), "write", watched)
    stages.statistics([series_of("x", [(start + at * SECOND, 10.0 ** (at % 300)) for at in range(25_000)])])
    assert len(sent) > 1
    assert max(sent) < MAX_OUTPUT_BYTES
