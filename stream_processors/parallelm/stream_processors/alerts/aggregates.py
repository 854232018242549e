"""What the rules see in one statistics record: the samples of each alert, on their way to the MLApp's partition."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.schemas.records import AggregateKind, Origin, RecordPosition, RuleAggregate
from parallelm.stream_processors.alerts.rule_alerts import fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from parallelm.schemas.slicing import SlicedBatch, SlicedSeries
    from parallelm.stream_processors.alerts.rules import Rule

MAX_SAMPLES = 256
"""Samples of one alert that travel on from one record; a record with more of them is thinned."""


@dataclass(slots=True)
class RuleIndex:
    """Rules of one MLApp by the statistic they watch; remembers the answer for each name."""

    rules: Sequence[Rule]
    _by_statistic: dict[bytes, tuple[Rule, ...]] = field(default_factory=dict)

    def watching(self, statistic: bytes) -> tuple[Rule, ...]:
        """Rules that watch a statistic, by its name alone."""
        found = self._by_statistic.get(statistic)
        if found is None:
            name = statistic.decode()
            found = self._by_statistic[statistic] = tuple(rule for rule in self.rules if rule.watches(name))
        return found


def aggregates_of(batch: SlicedBatch, index: RuleIndex, cause: RecordPosition) -> Iterator[RuleAggregate]:
    """One aggregate for each alert that the record has samples of; raises ``ValueError`` for unequal lengths."""
    together: dict[str, RuleAggregate] = {}
    rules = {rule.name: rule for rule in index.rules}
    for series in batch.series:
        for rule in index.watching(series.name):
            aggregate = _aggregate(batch, series, rule, cause)
            if aggregate is None:
                continue
            fingerprint = fingerprint_of(rule, aggregate)
            if fingerprint in together:
                aggregate = _joined(together[fingerprint], aggregate)
            together[fingerprint] = aggregate
    for aggregate in together.values():
        yield _thinned(aggregate, rules[aggregate.rule])


def _aggregate(
    batch: SlicedBatch, series: SlicedSeries, rule: Rule, cause: RecordPosition
) -> RuleAggregate | None:
    node_id = batch.node_id.decode()
    labels = {key.decode(): value.decode() for key, value in series.labels.items()}
    own = rule.alert_labels(node_id, labels)
    if own is None:
        return None
    if len(series.timestamps_ms) != len(series.values):
        raise ValueError(
            f"series {series.name.decode()!r} has {len(series.timestamps_ms) // 8} timestamps "
            f"and {len(series.values) // 8} values"
        )
    return RuleAggregate(
        kind=AggregateKind.SAMPLES,
        event_time_ms=0,
        origin=Origin(
            mlapp_id=batch.mlapp_id.decode(),
            node_id=node_id,
            pipeline_instance_id=batch.pipeline_instance_id.decode(),
            agent_id=batch.agent_id.decode(),
        ),
        rule=rule.name,
        statistic=series.name.decode(),
        model_id=series.model_id.decode(),
        labels=own,
        timestamps_ms=_floats(series.timestamps_ms),
        values=_floats(series.values),
        cause=cause,
    )


def _floats(data: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(data) // 8}d", data)


def _joined(first: RuleAggregate, second: RuleAggregate) -> RuleAggregate:
    """Two series of a record that share an alert are one, in the order of time, since an alert absorbs a record once."""
    samples = sorted(
        zip((*first.timestamps_ms, *second.timestamps_ms), (*first.values, *second.values), strict=True),
        # NaN compares with nothing: it would leave the others in no order.
        key=lambda sample: math.inf if math.isnan(sample[0]) else sample[0],
    )
    return RuleAggregate(
        kind=AggregateKind.SAMPLES,
        event_time_ms=0,
        origin=first.origin,
        rule=first.rule,
        statistic=first.statistic,
        model_id=second.model_id,
        labels=first.labels,
        timestamps_ms=[at_ms for at_ms, _ in samples],
        values=[value for _, value in samples],
        cause=first.cause,
    )


def _thinned(aggregate: RuleAggregate, rule: Rule) -> RuleAggregate:
    """Of a long record, the samples at which the condition changes, and evenly spaced ones between them."""
    count = len(aggregate.values)
    if count <= MAX_SAMPLES:
        return aggregate
    step = -(-count // MAX_SAMPLES)
    breached = [rule.breached(value) for value in aggregate.values]
    kept = [
        at
        for at in range(count)
        if at % step == 0
        or at == count - 1
        or breached[at] != breached[at - 1]
        or breached[at] != breached[at + 1]
    ]
    return RuleAggregate(
        kind=AggregateKind.SAMPLES,
        event_time_ms=0,
        origin=aggregate.origin,
        rule=aggregate.rule,
        statistic=aggregate.statistic,
        model_id=aggregate.model_id,
        labels=aggregate.labels,
        timestamps_ms=_only(aggregate.timestamps_ms, kept),
        values=_only(aggregate.values, kept),
        cause=aggregate.cause,
    )


def _only(numbers: Iterable[float], kept: Sequence[int]) -> tuple[float, ...]:
    listed = tuple(numbers)
    return tuple(listed[at] for at in kept)
