"""Encodes queued samples to ``StatisticsBatch`` records below the broker's size limit."""

from __future__ import annotations

from collections import defaultdict
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from parallelm.mlops._delivery import drops
from parallelm.mlops._delivery.encoding.encoded import samples_by_name
from parallelm.schemas import records
from parallelm.schemas.series_key import SeriesKey
from parallelm.schemas.statistics_encoder import StatisticsEncoder, series_header, series_size_bytes
from parallelm.schemas.wire import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from parallelm.mlops._delivery.drops import DropCounter
    from parallelm.mlops._reporting.samples import Sample, SampleQueue
    from parallelm.schemas.registry import Registry

SAMPLES_A_DRAIN = 25_000
"""16 bytes each: a drain of one series fits one record."""

_MAX_HEADERS = 10_000

_WHOLE = 1.5 * 2.0**52
"""A double this large has no room for a fraction: adding and subtracting it rounds to whole numbers, in two operations."""

_FLOOR = 0.5 - 0.0005
"""Subtracted before rounding to milliseconds, so that rounding floors. The clock's seconds are floats that may lie a
fraction of a microsecond below the intended millisecond, so the offset is half a microsecond less than half a ms."""


class EncodedBatch(NamedTuple):
    """One record and how many samples it holds."""

    value: bytes
    samples: int
    series: Sequence[tuple[str | SeriesKey, int]]
    """Number of samples by series."""


def drain(queue: SampleQueue, limit: int) -> list[Sample]:
    """Take the oldest samples off the queue: at most ``limit``, and at most one drain's worth."""
    take = queue.popleft
    return [take() for _ in range(min(len(queue), limit, SAMPLES_A_DRAIN))]


class BatchEncoder:
    """Groups samples by series and encodes them. For the sender thread only."""

    def __init__(
        self, registry: Registry, origin: records.Origin, producer_id: str, dropped: DropCounter
    ) -> None:
        self._encoder = StatisticsEncoder(registry, origin, producer_id)
        self._headers: dict[str | SeriesKey, bytes] = {}
        self._dropped = dropped

    def encode(self, samples: list[Sample], take_seq: Callable[[], int]) -> Iterator[EncodedBatch]:
        """Records that hold ``samples``, in order within each series."""
        encoder = self._encoder
        held: list[tuple[str | SeriesKey, int]] = []
        for series, group in _by_series(samples).items():
            header = self._header(series)
            size = series_size_bytes(header, len(group))
            if encoder.series_count and encoder.size_bytes + size > MAX_RECORD_BYTES:
                yield _batch(encoder.take(take_seq()), held)
                held = []
            if encoder.size_bytes + size > MAX_RECORD_BYTES:
                what = samples_by_name([(series, len(group))])
                detail = f"name and labels take {len(header):,} bytes; a record may take {MAX_RECORD_BYTES:,}"
                self._dropped.add(drops.TOO_LARGE, what, detail)
                continue
            packed = Struct(f"<{len(group)}d").pack
            times_ms = packed(*[sample[2] * 1000.0 - _FLOOR + _WHOLE - _WHOLE for sample in group])
            encoder.add(header, times_ms, packed(*[sample[1] for sample in group]))
            held.append((series, len(group)))
        if encoder.series_count:
            yield _batch(encoder.take(take_seq()), held)

    def _header(self, series: str | SeriesKey) -> bytes:
        header = self._headers.get(series)
        if header is None:
            if len(self._headers) >= _MAX_HEADERS:
                self._headers.clear()
            header = self._headers[series] = _encoded_header(series)
        return header


def _batch(value: bytes, held: list[tuple[str | SeriesKey, int]]) -> EncodedBatch:
    return EncodedBatch(value, sum(count for _, count in held), held)


def _by_series(samples: list[Sample]) -> dict[str | SeriesKey, list[Sample]]:
    first = samples[0][0] if samples else ""
    if [sample[0] for sample in samples].count(first) == len(samples):
        return {first: samples} if samples else {}
    groups: dict[str | SeriesKey, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample[0]].append(sample)
    if len({_rolled_up_as(series) for series in groups}) < len(groups):
        # Of several reports with one event time the last one counts, whatever its graph type: so its series comes last.
        latest_first = dict.fromkeys(sample[0] for sample in reversed(samples))
        return {series: groups[series] for series in reversed(latest_first)}
    return groups


def _rolled_up_as(series: str | SeriesKey) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """What distinguishes series in the warehouse: category and graph type do not."""
    return (series, "", ()) if isinstance(series, str) else (series.name, series.model_id, series.labels)


def _encoded_header(series: str | SeriesKey) -> bytes:
    key = SeriesKey(series) if isinstance(series, str) else series
    labels = tuple((_text(name), _text(value)) for name, value in key.labels)
    return series_header(key._replace(name=_text(key.name), labels=labels))


def _text(text: str) -> str:
    """``text`` with lone surrogates, which no encoding can carry, shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def kpi_batch(points: list[records.KpiPoint]) -> Callable[[records.Origin, str, int], records.KpiBatch]:
    """Factory of one record of ``points``; called when origin, producer id and number are known."""
    return lambda origin, producer_id, seq: records.KpiBatch(
        origin=origin, producer_id=producer_id, seq=seq, source="set_kpi", points=points
    )
