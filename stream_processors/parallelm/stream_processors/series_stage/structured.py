"""Structured statistics, on the partition of their record: signs of life, and distributions that a model policy compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.records import AggregateKind, RuleAggregate, StructuredStatistic
from parallelm.schemas.times import is_time
from parallelm.schemas.well_known import TIME_BOUNDS
from parallelm.stream_processors.alerts.event_time import judged_at
from parallelm.stream_processors.model_policy.analysis.distributions import distribution_of
from parallelm.stream_processors.runtime.dead_letters import InvalidRecordError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.schemas.codec import Codec
    from parallelm.stream_processors.current_rules import CurrentRules
    from parallelm.stream_processors.runtime.chunks import Incoming
    from parallelm.stream_processors.runtime.transactions import Output
    from parallelm.stream_processors.series_stage.travelling import Travelling


class StructuredStatistics:
    """Decodes a record only while some MLApp wants to know of it: they are large, and few are asked for."""

    def __init__(self, codec: Codec, rules: CurrentRules, travelling: Travelling) -> None:
        self._codec = codec
        self._rules = rules
        self._travelling = travelling

    def handle(self, record: Incoming) -> Iterator[Output]:
        """What travels on from one record."""
        if record.value is None:
            raise DecodeError(f"a tombstone has no meaning on topic {record.topic}")
        if not self._rules.wants_structured:
            return
        statistic = self._codec.decode(record.value, StructuredStatistic)
        if not is_time(statistic.event_time_ms):
            raise InvalidRecordError(
                f"event_time is {statistic.event_time_ms}, which is outside the years {TIME_BOUNDS} in epoch milliseconds"
            )
        origin = statistic.origin
        rules = self._rules.of(origin.mlapp_id)
        if rules is None:
            return
        ids = (origin.mlapp_id, origin.node_id, origin.pipeline_instance_id, origin.agent_id)
        for rule in rules.waiting:
            labels = rule.sign_of_life(ids, statistic.name, statistic.labels)
            if labels is not None:
                self._travelling.pulse(rule, labels, ids, statistic.name, record)
        if statistic.name in rules.distributions:
            data = distribution_of(statistic)
            if data:
                yield self._travelling.output(_aggregate(statistic, data, record))


def _aggregate(statistic: StructuredStatistic, data: str, record: Incoming) -> RuleAggregate:
    return RuleAggregate(
        origin=statistic.origin,
        kind=AggregateKind.DISTRIBUTION,
        rule=statistic.name,
        statistic=statistic.name,
        model_id=statistic.model_id,
        labels=dict(statistic.labels),
        event_time_ms=int(judged_at(statistic.event_time_ms, record.arrived_ms)),
        data=data,
        cause=record.position,
    )
