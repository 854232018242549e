"""Samples of many records as the columns of one block: no Python statement runs for a sample, few for a record.

What repeats (who reported, which series) becomes small integers, which numpy spreads over the samples.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from parallelm.schemas.slicing import SlicedBatch, SlicedSeries
from parallelm.sinks.blocks import MAX_BLOCK_SAMPLES, MAX_UNFOLDED_BYTES
from parallelm.sinks.errors import InvalidRecordError
from parallelm.sinks.native import (
    NativeBlock,
    NativeColumn,
    constant,
    low_cardinality_of,
    map_of,
    string,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from parallelm.schemas.layouts import Contents, CutRecord
    from parallelm.sinks.blocks import ConsumedRecord
    from parallelm.sinks.rows import Source

    Ints = npt.NDArray[np.integer]

_HEAD_TEXTS = SlicedBatch._fields[: SlicedBatch._fields.index("seq")]
_SERIES_TEXTS = SlicedSeries._fields[: SlicedSeries._fields.index("labels")]
_BYTES_A_ROW = 128
"""Memory of a row on the server, without its labels."""
_TEXT, _TIME = "LowCardinality(String)", "DateTime64(3, 'UTC')"
_LABELS = "Map(LowCardinality(String), String)"


class _Known(NamedTuple):
    """What records of the same contents add to a block."""

    head: int
    series: Ints
    counts: Ints
    samples: int
    unfolded_bytes: int


class SampleBlock:
    """Records of one insert. Add them in the order of their offsets."""

    def __init__(self) -> None:
        self._known: dict[Contents, _Known] = {}
        self._heads: dict[tuple[bytes, ...], int] = {}
        self._series: dict[tuple[bytes, ...], int] = {}
        self._symbols: list[SlicedSeries] = []
        self._added: list[_Known] = []
        self._records: list[ConsumedRecord] = []
        self._seqs: list[int] = []
        self._timestamps_ms: list[bytes] = []
        self._values: list[bytes] = []
        self._samples = 0
        self._unfolded_bytes = 0

    def add(self, cut: CutRecord, record: ConsumedRecord) -> bool:
        """Take a record; False when it does not fit and is one of the next block.

        Raises ``InvalidRecordError`` for a record that fits no block.
        """
        known = self._known.get(cut.contents) or self._learn(cut.contents)
        samples, unfolded_bytes = self._samples + known.samples, self._unfolded_bytes + known.unfolded_bytes
        if self._added and (samples > MAX_BLOCK_SAMPLES or unfolded_bytes > MAX_UNFOLDED_BYTES):
            return False
        self._samples, self._unfolded_bytes = samples, unfolded_bytes
        self._added.append(known)
        self._records.append(record)
        self._seqs.append(cut.seq)
        self._timestamps_ms += cut.timestamps_ms
        self._values += cut.values
        return True

    @property
    def samples(self) -> int:
        """Samples of all records."""
        return self._samples

    def timestamps_ms(self) -> npt.NDArray[np.float64]:
        """Event times of all samples."""
        return np.frombuffer(b"".join(self._timestamps_ms), "<f8")

    def records_of(self, samples: npt.NDArray[np.bool_]) -> list[ConsumedRecord]:
        """Records with at least one of these samples."""
        counts = [known.samples for known in self._added]
        numbers = np.unique(np.repeat(np.arange(len(counts)), counts)[samples])
        return [self._records[number] for number in numbers.tolist()]

    def native(self, timestamps_ms: npt.NDArray[np.float64], source: Source) -> NativeBlock:
        """All samples as rows of ``statistics``."""
        columns = (
            *self._of_heads(),
            *self._of_series(),
            NativeColumn("event_time", _TIME, np.floor(timestamps_ms).astype("<i8").tobytes()),
            NativeColumn("value", "Float64", b"".join(self._values)),
            *self._of_records(),
            *_of_source(source, self._samples),
        )
        return NativeBlock(self._samples, columns)

    def _learn(self, contents: Contents) -> _Known:
        if contents.counts != contents.value_counts:
            raise InvalidRecordError(_unequal(contents))
        head = self._heads.setdefault(contents.head, len(self._heads))
        symbols = []
        unfolded_bytes = 0
        for series, count in zip(contents.series, contents.counts, strict=True):
            pairs = [text for pair in series.labels.items() for text in pair]
            key = (series.name, series.model_id, series.category, series.graph_type, *pairs)
            symbol = self._series.setdefault(key, len(self._symbols))
            if symbol == len(self._symbols):
                self._symbols.append(series)
            symbols.append(symbol)
            unfolded_bytes += count * (_BYTES_A_ROW + sum(map(len, pairs)))
        samples = sum(contents.counts)
        if unfolded_bytes > MAX_UNFOLDED_BYTES:
            raise InvalidRecordError(
                f"{samples} samples with their labels take {unfolded_bytes} bytes as rows, where {MAX_UNFOLDED_BYTES} "
                "are the most: report shorter labels, or fewer samples in a record"
            )
        known = _Known(
            head, np.array(symbols, np.uint32), np.array(contents.counts, np.int64), samples, unfolded_bytes
        )
        self._known[contents] = known
        return known

    def _of_heads(self) -> Iterator[NativeColumn]:
        heads = np.repeat(
            np.array([known.head for known in self._added], np.uint32),
            [known.samples for known in self._added],
        )
        for place, name in enumerate(_HEAD_TEXTS):
            yield NativeColumn(name, _TEXT, low_cardinality_of([head[place] for head in self._heads], heads))

    def _of_series(self) -> Iterator[NativeColumn]:
        counts = np.concatenate([known.counts for known in self._added])
        of_record = np.concatenate([known.series for known in self._added])
        symbols = np.repeat(of_record, counts)
        for name in _SERIES_TEXTS:
            texts = map(attrgetter(name), self._symbols)
            yield NativeColumn(name, _TEXT, low_cardinality_of(texts, symbols))
        yield NativeColumn("labels", _LABELS, _labels([series.labels for series in self._symbols], symbols))
        series_counts = np.array([len(known.series) for known in self._added])
        yield NativeColumn("_series", "UInt32", np.repeat(_places(series_counts), counts).tobytes())
        yield NativeColumn("_index", "UInt32", _places(counts).tobytes())

    def _of_records(self) -> Iterator[NativeColumn]:
        counts = [known.samples for known in self._added]
        for name, kind, numbers in (
            ("seq", "Int64", self._seqs),
            ("ingested_at", _TIME, [record.ingested_at_ms for record in self._records]),
            ("_offset", "Int64", [record.offset for record in self._records]),
        ):
            yield NativeColumn(name, kind, np.repeat(np.array(numbers, "<i8"), counts).tobytes())


def _of_source(source: Source, row_count: int) -> Iterator[NativeColumn]:
    yield NativeColumn("_topic", _TEXT, constant(source.topic.encode(), row_count))
    yield NativeColumn("_topic_id", _TEXT, constant(source.topic_id.encode(), row_count))
    yield NativeColumn("_partition", "Int32", np.full(row_count, source.partition, "<i4").tobytes())


def _labels(labels: Sequence[dict[bytes, bytes]], symbols: Ints) -> bytes:
    """Labels of each row, sorted by key; ``symbols`` says whose labels it has."""
    keys: dict[bytes, int] = {}
    keys_of = [[keys.setdefault(key, len(keys)) for key in sorted(each)] for each in labels]
    values_of = [b"".join(string(each[key]) for key in sorted(each)) for each in labels]
    pair_counts = np.array([len(each) for each in labels], np.int64)
    row_pairs = pair_counts[symbols]
    starts = np.repeat((np.cumsum(pair_counts) - pair_counts)[symbols], row_pairs)
    flat = np.array([key for each in keys_of for key in each], np.uint32)
    index = flat[starts + _places(row_pairs)] if len(flat) else flat
    return map_of(row_pairs, list(keys), index, _spread(values_of, symbols))


def _spread(texts: Sequence[bytes], symbols: Ints) -> bytes:
    """The text of each symbol, joined."""
    sizes = {len(text) for text in texts}
    if sizes == {0}:
        return b""
    if len(sizes) == 1:
        return np.frombuffer(b"".join(texts), f"V{sizes.pop()}")[symbols].tobytes()
    return b"".join([texts[symbol] for symbol in symbols.tolist()])


def _places(counts: Ints) -> Ints:
    """0, 1, … for each count."""
    ends = np.cumsum(counts)
    return (np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)).astype("<u4")


def _unequal(contents: Contents) -> str:
    number, series = next(
        (number, series)
        for number, series in enumerate(contents.series)
        if contents.counts[number] != contents.value_counts[number]
    )
    return (
        f"series {number} ({series.name.decode(errors='replace')!r}) has {contents.counts[number]} timestamps and "
        f"{contents.value_counts[number]} values"
    )
