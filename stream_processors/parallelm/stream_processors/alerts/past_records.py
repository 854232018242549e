"""Past reports as they are handed to a replay of rules, and what the MLApp's rules hear of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.schemas.records import NO_RECORD, AggregateKind, Origin, RecordPosition, RuleAggregate
from parallelm.stream_processors.alerts.book import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.stream_processors.alerts.rules import RuleCore
    from parallelm.stream_processors.alerts.windows import WindowSums


@dataclass(frozen=True, slots=True, eq=False)
class PastSeries:
    """A series as it was reported."""

    origin: tuple[str, str, str, str]
    """MLApp, node, pipeline instance and agent."""
    statistic: str
    model_id: str
    labels: Mapping[str, str]


class PastRecord(NamedTuple):
    """The samples of one record of statistics that rules may be about."""

    position: RecordPosition
    arrived_ms: int
    series: Sequence[tuple[PastSeries, Sequence[tuple[float, float]]]]


def part_of_windows(
    rule: RuleCore, subject: Subject, windows: Mapping[float, WindowSums], position: RecordPosition
) -> RuleAggregate:
    """Part of windows, from one partition."""
    starts = sorted(windows)
    sums = [windows[start] for start in starts]
    return _aggregate(
        rule,
        subject,
        AggregateKind.PARTIAL,
        position,
        timestamps_ms=starts,
        values=[number for each in sums for number in (each.count, each.total, each.minimum, each.maximum)],
        data=json.dumps([each.sketch for each in sums]) if sums and sums[0].sketch else "",
    )


def sign_of_life(rule: RuleCore, past: PastSeries, labels: Mapping[str, str]) -> RuleAggregate:
    """What is alive, without a time."""
    subject = Subject(labels, past.statistic, past.model_id)
    return _aggregate(rule, subject, AggregateKind.SEEN, NO_RECORD, origin=past.origin)


def seen_in(seen: RuleAggregate, record: PastRecord) -> RuleAggregate:
    """A sign of life with its time and place."""
    return replace(seen, event_time_ms=record.arrived_ms, cause=record.position)


def _aggregate(
    rule: RuleCore,
    subject: Subject,
    kind: AggregateKind,
    position: RecordPosition,
    *,
    origin: tuple[str, str, str, str] = ("", "", "", ""),
    **more: Any,
) -> RuleAggregate:
    mlapp_id, node_id, pipeline, agent_id = origin
    return RuleAggregate(
        origin=Origin(mlapp_id=mlapp_id, node_id=node_id, pipeline_instance_id=pipeline, agent_id=agent_id),
        kind=kind,
        rule=rule.settings.name,
        rule_form=rule.settings.form,
        statistic=subject.statistic,
        model_id=subject.model_id,
        labels=subject.labels,
        event_time_ms=0,
        cause=position,
        **more,
    )
