"""What travels on to the MLApp's partition: changes of state at once, everything else once a batch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from parallelm.schemas import records
from parallelm.schemas.records import NO_RECORD, AggregateKind, RecordPosition, RuleAggregate
from parallelm.schemas.times import is_time
from parallelm.schemas.topics import RULE_AGGREGATES
from parallelm.stream_processors.alerts.event_time import judged_at
from parallelm.stream_processors.alerts.windows import WindowSums
from parallelm.stream_processors.runtime.transactions import Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.schemas.codec import Codec
    from parallelm.schemas.slicing import SlicedSeries
    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rules import RuleCore
    from parallelm.stream_processors.alerts.series import Changes
    from parallelm.stream_processors.runtime.chunks import Incoming
    from parallelm.stream_processors.series_stage.lookup import Watchers
    from parallelm.stream_processors.series_stage.pages import Origin, OriginIds, Seen, Slot

PULSE_INTERVAL_MS = 2_000
"""A sign of life of one thing is sent at most this often, by the broker's clock: in a backlog, too, none is older by more."""
MAX_SAMPLES = 2_000
"""Samples of a metric that travel on from one batch; of more, every n-th."""
_REMEMBERED_PULSES = 100_000
_PART_BYTES = 400_000
"""What the windows of one record may need: those of a long backlog are split over several."""

_WINDOW_BYTES = 50
_BUCKET_BYTES = 25

Labels = tuple[tuple[str, str], ...]


class _Gathered:
    """What a batch has said of one thing."""

    __slots__ = (
        "labels",
        "model_id",
        "newest_ms",
        "origin",
        "position",
        "rule",
        "samples",
        "statistic",
        "windows",
    )

    def __init__(self, rule: str, origin: OriginIds, labels: Mapping[str, str], statistic: str) -> None:
        self.rule = rule
        self.origin = origin
        self.labels = labels
        self.statistic = statistic
        self.model_id = ""
        self.position = NO_RECORD
        self.newest_ms = 0
        self.windows: dict[float, WindowSums] = {}
        self.samples: list[tuple[float, float]] = []


class Travelling:
    """Makes the records for one shard."""

    def __init__(self, codec: Codec, prefix: str) -> None:
        self._codec = codec
        self._topic = RULE_AGGREGATES.full_name(prefix)
        self._windows: dict[tuple[RuleCore, Labels], _Gathered] = {}
        self._metrics: dict[tuple[str, OriginIds, str, Labels], _Gathered] = {}
        self._pulses: dict[tuple[RuleCore, Labels], _Gathered] = {}
        self._pulsed: dict[tuple[str, Labels], int] = {}

    def discard(self) -> None:
        """Forget what was gathered: its batch comes again."""
        self._windows.clear()
        self._metrics.clear()
        self._pulses.clear()
        self._pulsed.clear()

    def steps(self, slot: Slot, changes: Changes, place: tuple[str, int] | None) -> Iterator[Output]:
        """Changes of state of one series' alert; ``place`` is the topic and partition of its records, where it is known."""
        settings = slot.rule.settings
        seen = slot.seen()
        for step, offset in changes:
            cause = NO_RECORD
            if place is not None and offset >= 0:
                topic, partition = place
                cause = RecordPosition(topic=topic, partition=partition, offset=offset)
            yield self.step(seen, settings.name, step, cause)

    def step(self, seen: Seen, rule: str, step: Step, cause: RecordPosition = NO_RECORD) -> Output:
        """One change of state."""
        return self.output(
            RuleAggregate(
                origin=_origin(seen.origin),
                kind=AggregateKind.STEP,
                rule=rule,
                rule_form=seen.form,
                statistic=seen.statistic,
                model_id=seen.model_id,
                labels=seen.labels,
                event_time_ms=int(step.at_ms),
                state=step.state,
                previous_state=step.previous_state,
                started_at_ms=int(step.started_ms),
                value=step.value,
                threshold=step.threshold,
                reason=step.reason,
                cause=cause,
            )
        )

    def gather(
        self,
        origin: Origin,
        watchers: Watchers,
        series: SlicedSeries,
        samples: Sequence[tuple[float, float]],
        record: Incoming,
    ) -> None:
        """Add what windows, signs of life and metrics need of a series."""
        if watchers.windows or watchers.metrics:
            samples = [
                (judged_at(at_ms, record.arrived_ms), value)
                for at_ms, value in samples
                if value == value and is_time(at_ms)  # noqa: PLR0124 - not NaN
            ]
            for window in watchers.windows:
                self._add_to_windows(origin, window.rule, window.labels, series, samples, record)
            for metric in watchers.metrics:
                self._add_metric(origin, metric, series, samples, record)
        for pulse in watchers.pulses:
            self.pulse(pulse.rule, pulse.labels, origin.ids, series.name.decode(), record)

    def pulse(
        self, rule: RuleCore, labels: Mapping[str, str], origin: OriginIds, statistic: str, record: Incoming
    ) -> None:
        """Note that what a rule waits for is alive."""
        key = (rule, _key(labels))
        found = self._pulses.get(key)
        if found is None:
            found = self._pulses[key] = _Gathered(rule.settings.name, origin, labels, statistic)
        found.position = record.position
        found.newest_ms = record.arrived_ms

    def gathered(self) -> Iterator[Output]:
        """Records of everything that was gathered; the next batch begins anew."""
        for (rule, _), found in self._windows.items():
            yield from self._window_outputs(rule, found)
        for found in self._metrics.values():
            yield self._metric_output(found)
        for (rule, labels), found in self._pulses.items():
            name = (rule.settings.form, labels)
            if found.newest_ms - self._pulsed.get(name, -PULSE_INTERVAL_MS) >= PULSE_INTERVAL_MS:
                if len(self._pulsed) >= _REMEMBERED_PULSES:
                    self._pulsed.clear()
                self._pulsed[name] = found.newest_ms
                yield self.output(
                    _record(found, AggregateKind.SEEN, found.newest_ms, rule_form=rule.settings.form)
                )
        self._windows.clear()
        self._metrics.clear()
        self._pulses.clear()

    def _add_to_windows(
        self,
        origin: Origin,
        rule: RuleCore,
        labels: Mapping[str, str],
        series: SlicedSeries,
        samples: Sequence[tuple[float, float]],
        record: Incoming,
    ) -> None:
        aggregation = rule.settings.aggregation
        assert aggregation is not None  # noqa: S101 - a rule over windows has one
        key = (rule, _key(labels))
        found = self._windows.get(key)
        if found is None:
            found = self._windows[key] = _Gathered(
                rule.settings.name, origin.ids, labels, series.name.decode()
            )
        found.position = record.position
        found.model_id = series.model_id.decode()
        sketched = aggregation.function == "quantile"
        for at_ms, value in samples:
            start = at_ms - at_ms % aggregation.window_ms
            sums = found.windows.get(start)
            if sums is None:
                sums = found.windows[start] = WindowSums()
            sums.add(value, sketched=sketched)
            found.newest_ms = max(found.newest_ms, int(at_ms))

    def _add_metric(
        self,
        origin: Origin,
        metric: str,
        series: SlicedSeries,
        samples: Sequence[tuple[float, float]],
        record: Incoming,
    ) -> None:
        labels = {key.decode(): value.decode() for key, value in series.labels.items()}
        model_id = series.model_id.decode()
        key = (metric, origin.ids, model_id, _key(labels))
        found = self._metrics.get(key)
        if found is None:
            found = self._metrics[key] = _Gathered(metric, origin.ids, labels, series.name.decode())
            found.model_id = model_id
        found.position = record.position
        found.samples += samples
        found.newest_ms = max([found.newest_ms, *(int(at_ms) for at_ms, _ in samples)])

    def _window_outputs(self, rule: RuleCore, found: _Gathered) -> Iterator[Output]:
        starts: list[float] = []
        size_bytes = 0
        for start in sorted(found.windows):
            needed = _WINDOW_BYTES + _BUCKET_BYTES * len(found.windows[start].sketch)
            if starts and size_bytes + needed > _PART_BYTES:
                yield self._window_output(rule, found, starts)
                starts, size_bytes = [], 0
            starts.append(start)
            size_bytes += needed
        if starts:
            yield self._window_output(rule, found, starts)

    def _window_output(self, rule: RuleCore, found: _Gathered, starts: Sequence[float]) -> Output:
        sums = [found.windows[start] for start in starts]
        return self.output(
            _record(
                found,
                AggregateKind.PARTIAL,
                found.newest_ms,
                rule_form=rule.settings.form,
                timestamps_ms=starts,
                values=[
                    number for each in sums for number in (each.count, each.total, each.minimum, each.maximum)
                ],
                data=json.dumps([each.sketch for each in sums]) if sums and sums[0].sketch else "",
            )
        )

    def _metric_output(self, found: _Gathered) -> Output:
        step = -(-len(found.samples) // MAX_SAMPLES)
        samples = found.samples[:: max(step, 1)]
        return self.output(
            _record(
                found,
                AggregateKind.SAMPLES,
                found.newest_ms,
                timestamps_ms=[at_ms for at_ms, _ in samples],
                values=[value for _, value in samples],
            )
        )

    def output(self, aggregate: RuleAggregate) -> Output:
        """Record on its way to the MLApp's partition."""
        return Output(self._topic, RULE_AGGREGATES.key(aggregate), self._codec.encode(aggregate))


def _record(
    found: _Gathered,
    kind: AggregateKind,
    event_time_ms: int,
    *,
    rule_form: str = "",
    timestamps_ms: Sequence[float] = (),
    values: Sequence[float] = (),
    data: str = "",
) -> RuleAggregate:
    return RuleAggregate(
        origin=_origin(found.origin),
        kind=kind,
        rule=found.rule,
        rule_form=rule_form,
        statistic=found.statistic,
        model_id=found.model_id,
        labels=found.labels,
        event_time_ms=event_time_ms,
        timestamps_ms=timestamps_ms,
        values=values,
        data=data,
        cause=found.position,
    )


def _origin(ids: OriginIds) -> records.Origin:
    mlapp_id, node_id, pipeline, agent_id = ids
    return records.Origin(
        mlapp_id=mlapp_id, node_id=node_id, pipeline_instance_id=pipeline, agent_id=agent_id
    )


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))
