"""The quality of models as statistics: at the prediction's time, again whenever outcomes have changed it.

Rules, canaries and correlations then ask for it as for any statistic. What was reported before is read from the warehouse,
so a run has no state of its own and may be repeated: it sends what differs.
"""

from __future__ import annotations

import dataclasses
import math
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.operations.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.records import Series, StatisticsBatch
    from parallelm.warehouse.queries.model_quality import Bucket, Judged

AGENT_ID = "actuals"
"""Who reports: one for all hosts that evaluate, so that a series stays the same."""
OUTCOME_LABEL = "outcome"
KIND_LABEL = "kind"
"""Of the predictions: a model may report a score and a class of one outcome."""
BY_LABEL = "by"
_CONNECT_TIMEOUT_S = 15.0
_TIMEOUT_S = 30.0
_Labels = tuple[tuple[str, str], ...]
_Sample = tuple[str, str, str, str, _Labels, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enough:
    """When a day is judged at all: few early outcomes are not like the others."""

    known: int = 20
    known_share: float = 0.5


def report_quality(
    settings: Settings,
    judged: Judged,
    *,
    enough: Enough,
    by: Bucket = "day",
    measures: Sequence[str] = (),
    segments: Sequence[str] = (),
    timezone: str = "UTC",
) -> int:
    """Report the days (or hours, weeks, months) whose quality is new or differs from what was reported; returns how many samples were sent.

    Only whole ones are judged, since a part would take the place of the whole: those in which the times of ``judged`` begin
    and end are judged from their start to their end.

    Statistics are ``quality.accuracy``, … (``measures``, or all that apply: ``MEASURES`` and ``known_share``), a sample a day at its start, with
    the model's id and the labels ``outcome``, ``kind``, ``by`` where that is no day, and, for each of ``segments``, the feature's
    value. Raises ``QueryError``, ``OperationError``, ``TopicsError`` and ``UndeliveredError``.
    """
    from parallelm.warehouse.queries.model_quality import MEASURES, model_quality, reported_quality

    all_measures = (*MEASURES, "known_share")
    if unknown := set(measures).difference(all_measures):
        raise OperationError(f"there is no measure {min(unknown)!r}; there are: {', '.join(all_measures)}")
    if taken := {OUTCOME_LABEL, KIND_LABEL, BY_LABEL}.intersection(segments):
        raise OperationError(
            f"the feature {min(taken)!r} cannot be a segment: quality has a label of this name; report the feature by another one"
        )
    judged = _of_whole_buckets(judged, by, timezone)
    before = reported_quality(settings, AGENT_ID, judged.mlapp_id)
    changed: dict[tuple[str, str], dict[_Sample, float]] = {}
    for segment in (None, *segments):
        found = model_quality(settings, judged, by=by, segment=segment, timezone=timezone)
        labels = {} if by == "day" else {BY_LABEL: by}
        for sample, value in _samples(found, enough, segment, labels, measures or all_measures):
            if not math.isclose(before.get(sample, math.nan), value, rel_tol=1e-9, abs_tol=1e-12):
                changed.setdefault(sample[:2], {})[sample] = value
    _send(settings, changed)
    return sum(map(len, changed.values()))


def _of_whole_buckets(judged: Judged, by: Bucket, timezone: str) -> Judged:
    from parallelm.warehouse.queries.model_quality import whole_buckets

    start, end = whole_buckets(judged.start, judged.end, by, timezone)
    return dataclasses.replace(judged, start=start, end=end)


def _samples(
    found: pd.DataFrame,
    enough: Enough,
    segment: str | None,
    shared: Mapping[str, str],
    measures: Sequence[str],
) -> Iterator[tuple[_Sample, float]]:
    from parallelm.warehouse.queries.model_quality import STATISTIC_PREFIX

    for row in found.to_dict("records"):
        if row["known"] < max(1, enough.known) or row["known_share"] < enough.known_share:
            continue
        named = {OUTCOME_LABEL: row["outcome"], KIND_LABEL: row["kind"], **shared}
        if segment is not None:
            if not row["segment"]:
                continue
            named[segment] = row["segment"]
        labels = tuple(sorted(named.items()))
        at_ms = round(row["bucket_start"].timestamp() * 1000)
        for measure in measures:
            if math.isfinite(row[measure]):
                name = f"{STATISTIC_PREFIX}{measure}"
                yield (row["mlapp_id"], row["node_id"], row["model_id"], name, labels, at_ms), row[measure]


def _send(settings: Settings, changed: Mapping[tuple[str, str], Mapping[_Sample, float]]) -> None:
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.registry import make_registry
    from parallelm.schemas.topic_admin import require_topic
    from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
    from parallelm.schemas.topics import STATISTICS

    topic = STATISTICS.full_name(settings.kafka.topic_prefix)
    require_topic(settings, topic, _CONNECT_TIMEOUT_S)
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    sent = (OutgoingRecord(topic, STATISTICS.key(batch), codec.encode(batch)) for batch in _batches(changed))
    write_and_confirm(settings, sent, timeout_s=_TIMEOUT_S)


def _batches(changed: Mapping[tuple[str, str], Mapping[_Sample, float]]) -> Iterator[StatisticsBatch]:
    """A record a series: rules see its days in their order."""
    from parallelm.schemas.records import Origin, StatisticsBatch

    producer_id, seq = uuid.uuid4().hex, 0
    for (mlapp_id, node_id), samples in changed.items():
        origin = Origin(mlapp_id=mlapp_id, node_id=node_id, pipeline_instance_id="", agent_id=AGENT_ID)
        for series in _series(samples):
            yield StatisticsBatch(origin=origin, producer_id=producer_id, seq=seq, series=[series])
            seq += 1


def _series(samples: Mapping[_Sample, float]) -> Iterator[Series]:
    from parallelm.schemas.records import Series

    by_series: dict[tuple[str, str, _Labels], list[tuple[float, float]]] = {}
    for (_, _, model_id, name, labels, at_ms), value in samples.items():
        by_series.setdefault((model_id, name, labels), []).append((float(at_ms), value))
    for (model_id, name, labels), found in by_series.items():
        times, values = zip(*sorted(found), strict=True)
        yield Series(
            name=name,
            model_id=model_id,
            category="TIME_SERIES",
            graph_type="LINEGRAPH",
            labels=dict(labels),
            timestamps_ms=times,
            values=values,
        )
