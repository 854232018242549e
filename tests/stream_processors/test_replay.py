"""Rules over past records: what the broker's clock leads to, without a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.definitions import parse_definition, to_record
from parallelm.schemas.records import RecordPosition
from parallelm.stream_processors.alerts.past_records import PastRecord, PastSeries
from parallelm.stream_processors.alerts.replay import Replay
from parallelm.stream_processors.alerts.rules import cores_of

if TYPE_CHECKING:
    from parallelm.schemas.records import AlertTransition

START = 1_789_999_980_000
MINUTE = 60_000


def replayed(
    rules: str, samples: list[tuple[float, str, float]], end_minute: float | None
) -> list[tuple[str, str, float]]:
    """Rule, state and minute of each transition; samples are minute, agent and value."""
    text = f"mlapp: app\nnodes: [{{id: predict, type: model_consumer}}]\nalerts:\n  - {{{rules}}}\n"
    definition = to_record(parse_definition(text, "f"), text, version=1, applied_by="me", event_time_ms=START)
    found: list[AlertTransition] = []
    replay = Replay(list(cores_of(definition).values()), lambda transition, _: found.append(transition))
    replay.on_definition(definition, START)
    known = {agent: PastSeries(("app", "predict", "", agent), "share", "", {}) for agent in "abc"}
    for offset, (minute, agent, value) in enumerate(samples):
        at_ms = int(START + minute * MINUTE)
        position = RecordPosition(topic="statistics", partition=ord(agent), offset=offset)
        replay.on_statistics(PastRecord(position, at_ms, [(known[agent], [(at_ms, value)])]))
    replay.finish(None if end_minute is None else int(START + end_minute * MINUTE))
    return [(each.rule, each.state.value, (each.event_time_ms - START) / MINUTE) for each in found]


STOPPED = "name: r, type: threshold, statistic: share, above: 0.5, stale_after: 10m"


@pytest.mark.parametrize(
    ("rules", "samples", "end_minute", "expected"),
    [
        (STOPPED, [(1, "a", 0.9)], 20, [("r", "firing", 1), ("r", "resolved", 11)]),
        (STOPPED, [(1, "a", 0.9)], 10, [("r", "firing", 1)]),
        (STOPPED, [(1, "a", 0.9)], None, [("r", "firing", 1)]),
        (STOPPED, [(1, "a", 0.9), (30, "a", 0.9)], None, [("r", "firing", 1), ("r", "resolved", 11), ("r", "firing", 30)]),
        (STOPPED + ", no_data: keep", [(1, "a", 0.9), (30, "a", 0.1)], None, [("r", "firing", 1), ("r", "resolved", 30)]),
        (STOPPED + ", no_data: alerting", [(1, "a", 0.1)], 20, [("r", "firing", 11)]),
        ("name: r, type: no_data, statistic: share, for: 5m", [(1, "a", 1), (4, "a", 1)], 8, []),
        ("name: r, type: no_data, statistic: share, for: 5m", [(1, "a", 1), (4, "a", 1)], 10, [("r", "firing", 9)]),
        (
            "name: r, type: no_data, node: predict, statistic: share, for: 5m",
            [(7, "a", 1), (8, "a", 1)],
            9,
            [("r", "firing", 5), ("r", "resolved", 7)],
        ),
        (
            "name: r, type: threshold, statistic: share, above: 0.5, grace: 2m",
            [(1, "a", 0.9), (5, "a", 0.1)],
            None,
            [("r", "firing", 1), ("r", "resolved", 5)],
        ),
        (
            "name: r, type: threshold, statistic: share, above: 1.5, aggregate: sum, window: 1m",
            [(1, "a", 0.9), (1.02, "b", 0.9), (2, "a", 0.1), (2.02, "b", 0.1)],
            None,
            [("r", "firing", 2), ("r", "resolved", 3)],
        ),
    ],
)  # fmt: skip
def test_time_passes_as_the_records_say(
    rules: str,
    samples: list[tuple[float, str, float]],
    end_minute: float | None,
    expected: list[tuple[str, str, float]],
) -> None:
    assert replayed(rules, samples, end_minute) == expected
