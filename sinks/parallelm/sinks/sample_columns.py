"""The columns of ``statistics`` of many samples, each made only when it is sent.

What repeats lies once for each record, or for each series of a record; numpy spreads it over the samples. All columns
at once would take five times the memory of the samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from parallelm.schemas.slicing import SlicedBatch, SlicedSeries
from parallelm.sinks.native import (
    NativeBlock,
    NativeColumn,
    constant,
    low_cardinality,
    map_of,
    narrow,
    string,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from parallelm.sinks.rows import Source

    Ints = npt.NDArray[np.integer]

_HEAD_TEXTS = SlicedBatch._fields[: SlicedBatch._fields.index("seq")]
_SERIES_TEXTS = SlicedSeries._fields[: SlicedSeries._fields.index("labels")]
_TEXT, _TIME = "LowCardinality(String)", "DateTime64(3, 'UTC')"
_DENSE = 3
"""Samples of a series in a record, on the average of a block, from which on arrays are worth it."""
ARRAYS_FROM_SAMPLES = 10_000
"""Fewer samples in a block do not make up for what another view costs the server: some milliseconds an insert."""
_LABELS = "Map(LowCardinality(String), String)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleColumns:
    """Samples of many runs. A *run* is the samples of one stream in one record, a *stream* one series of one producer."""

    heads: Sequence[tuple[bytes, ...]]
    """Texts of the records, each different one once."""
    series: Sequence[SlicedSeries]
    """Series, each different one once."""
    head_of_stream: Sequence[int]
    series_of_stream: Sequence[int]
    id_of_stream: Sequence[int]
    seq_of_record: Ints
    arrival_of_record: Ints
    """Epoch milliseconds."""
    offset_of_record: Ints
    stream_of_run: Ints
    record_of_run: Ints
    place_of_run: Ints
    """Number of the series in its record."""
    samples_of_run: Ints
    event_times_ms: Ints
    values: bytes
    """Little-endian float64."""

    @property
    def is_dense(self) -> bool:
        """Whether arrays are cheaper than rows, for sink and server together."""
        return len(self.event_times_ms) >= max(ARRAYS_FROM_SAMPLES, _DENSE * len(self.samples_of_run))

    def rows(self, source: Source) -> NativeBlock:
        """All samples as rows of ``statistics``."""
        columns = (
            *self.of_runs(source),
            NativeColumn("event_time", _TIME, self.event_times_ms.tobytes),
            NativeColumn("value", "Float64", lambda: self.values),
            NativeColumn("_index", "UInt32", lambda: places(self.samples_of_run).tobytes()),
        )
        return NativeBlock(len(self.event_times_ms), columns, self._size_bytes)

    def arrays(self, source: Source) -> NativeBlock:
        """All runs as rows of ``statistics_arrays``, which the server unfolds: a fifth of the bytes when they are long."""
        count = len(self.samples_of_run)
        ends = np.cumsum(self.samples_of_run, dtype="<u8").tobytes()
        columns = (
            *replace(self, samples_of_run=np.ones(count, np.uint32)).of_runs(source),
            NativeColumn("event_times", f"Array({_TIME})", lambda: ends + self.event_times_ms.tobytes()),
            NativeColumn("values", "Array(Float64)", lambda: ends + self.values),
        )
        return NativeBlock(count, columns, self._size_bytes)

    @property
    def _size_bytes(self) -> int:
        runs = (self.stream_of_run, self.record_of_run, self.place_of_run, self.samples_of_run)
        return len(self.values) + self.event_times_ms.nbytes + sum(each.nbytes for each in runs)

    def of_runs(self, source: Source) -> Iterator[NativeColumn]:
        """What the samples of a run have in common."""
        yield from self._of_heads()
        yield from self._of_series()
        yield from self._of_records()
        yield from self._of_source(source)

    def _of_heads(self) -> Iterator[NativeColumn]:
        for place, name in enumerate(_HEAD_TEXTS):
            texts = [self.heads[head][place] for head in self.head_of_stream]
            yield NativeColumn(name, _TEXT, partial(_texts, texts, self.stream_of_run, self.samples_of_run))

    def _of_series(self) -> Iterator[NativeColumn]:
        for name in _SERIES_TEXTS:
            texts = [getattr(self.series[number], name) for number in self.series_of_stream]
            yield NativeColumn(name, _TEXT, partial(_texts, texts, self.stream_of_run, self.samples_of_run))
        yield NativeColumn("labels", _LABELS, self._labels)
        ids = np.array(self.id_of_stream, "<u8")
        yield NativeColumn("series_id", "UInt64", partial(self._spread, ids, self.stream_of_run))
        yield NativeColumn("_series", "UInt32", self._series_places)

    def _of_records(self) -> Iterator[NativeColumn]:
        for name, kind, numbers in (
            ("seq", "Int64", self.seq_of_record),
            ("ingested_at", _TIME, self.arrival_of_record),
            ("_offset", "Int64", self.offset_of_record),
        ):
            yield NativeColumn(name, kind, partial(self._spread, numbers, self.record_of_run))

    def _of_source(self, source: Source) -> Iterator[NativeColumn]:
        count = int(self.samples_of_run.sum())
        yield NativeColumn("_topic", _TEXT, partial(constant, source.topic.encode(), count))
        yield NativeColumn("_topic_id", _TEXT, partial(constant, source.topic_id.encode(), count))
        yield NativeColumn("_partition", "Int32", lambda: np.full(count, source.partition, "<i4").tobytes())

    def _series_places(self) -> bytes:
        return _spread(self.place_of_run.astype("<u4"), self.samples_of_run).tobytes()

    def _spread(self, numbers: Ints, number_of_run: Ints) -> bytes:
        return _spread(numbers[number_of_run], self.samples_of_run).tobytes()

    def _labels(self) -> bytes:
        """Labels of each row, sorted by key."""
        keys: dict[bytes, int] = {}
        pairs_of = [sorted(self.series[number].labels.items()) for number in self.series_of_stream]
        keys_of = [[keys.setdefault(key, len(keys)) for key, _ in pairs] for pairs in pairs_of]
        texts_of = [b"".join(string(text) for _, text in pairs) for pairs in pairs_of]
        symbols = _spread(self.stream_of_run, self.samples_of_run)
        pair_counts = np.array([len(each) for each in keys_of], np.int64)
        if _same(pair_counts) is not None:
            row_pairs = np.full(len(symbols), pair_counts[0])
            index = narrow(np.array(keys_of, np.uint32), len(keys))[symbols].ravel()
        else:
            row_pairs = pair_counts[symbols]
            starts = np.repeat((np.cumsum(pair_counts) - pair_counts)[symbols], row_pairs)
            flat = narrow(np.array([key for each in keys_of for key in each], np.uint32), len(keys))
            index = flat[starts + places(row_pairs)]
        return map_of(row_pairs, list(keys), index, _joined(texts_of, symbols))


def _texts(texts: Iterable[bytes], symbols: Ints, counts: Ints) -> bytes:
    """``LowCardinality(String)`` of rows that have the text of their symbol, each symbol for as many rows as it counts."""
    keys: dict[bytes, int] = {}
    key_of = np.array([keys.setdefault(text, len(keys)) for text in texts], np.uint32)
    return low_cardinality(list(keys), _spread(narrow(key_of, len(keys))[symbols], counts))


def _spread(values: Ints, counts: Ints) -> Ints:
    """Each value as often as it counts."""
    same = _same(counts)
    return values if same == 1 else np.repeat(values, counts if same is None else same)


def _joined(texts: Sequence[bytes], symbols: Ints) -> bytes:
    """The text of each symbol, joined."""
    sizes = {len(text) for text in texts}
    if sizes == {0}:
        return b""
    if len(sizes) == 1:
        return np.frombuffer(b"".join(texts), f"V{sizes.pop()}")[symbols].tobytes()
    return b"".join([texts[symbol] for symbol in symbols.tolist()])


def places(counts: Ints) -> Ints:
    """0, 1, … for each count."""
    if (same := _same(counts)) is not None:
        return np.tile(np.arange(same, dtype="<u4"), len(counts))
    ends = np.cumsum(counts)
    return (np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)).astype("<u4")


def rearranged(samples: npt.NDArray[Any], counts: Ints, order: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """The samples of runs of so many each, when the runs come in another order."""
    if (same := _same(counts)) is not None:
        return samples.reshape(-1, same)[order].ravel()
    starts, counts = (np.cumsum(counts) - counts)[order], counts[order]
    return samples[np.repeat(starts, counts) + places(counts)]


def _same(counts: Ints) -> int | None:
    """What all of them are; None when they differ, or there are none: spreading by one number is much faster."""
    return int(counts[0]) if len(counts) and counts.min() == counts.max() else None
