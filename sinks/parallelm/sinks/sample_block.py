"""Collects the samples of many records for one block: no Python statement runs for a sample, few for a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from parallelm.schemas.layouts import unequal_counts
from parallelm.sinks.blocks import MAX_BLOCK_SAMPLES, MAX_UNFOLDED_BYTES
from parallelm.sinks.errors import InvalidRecordError
from parallelm.sinks.native import narrow
from parallelm.sinks.sample_columns import SampleColumns, places, rearranged
from parallelm.sinks.series_id import series_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from parallelm.schemas.layouts import Contents, CutRecord
    from parallelm.schemas.slicing import SlicedSeries
    from parallelm.sinks.blocks import ConsumedRecord

    Ints = npt.NDArray[np.integer]

_BYTES_A_ROW = 128
"""Memory of a row on the server, without its labels."""


class _Known(NamedTuple):
    """What records of the same contents add to a block."""

    streams: Ints
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
        self._streams: dict[tuple[int, int], int] = {}
        """Number of each head and series that came together."""
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

    def columns(self, timestamps_ms: npt.NDArray[np.float64]) -> SampleColumns:
        """All samples in the order of the key of ``statistics``: the server need not sort them.

        Samples of one series stay in the order of their records, which is that of time but for late ones.
        """
        added, records = self._added, self._records
        heads = list(self._heads)
        ids = [self._id(heads[head], self._symbols[series]) for head, series in self._streams]
        stream_of_run = np.concatenate([known.streams for known in added])
        counts = np.concatenate([known.counts for known in added])
        runs_of_record = np.array([len(known.streams) for known in added])
        order = np.argsort(self._ranks(heads, ids)[stream_of_run], kind="stable")
        return SampleColumns(
            heads=heads,
            series=self._symbols,
            head_of_stream=[head for head, _ in self._streams],
            series_of_stream=[series for _, series in self._streams],
            id_of_stream=ids,
            seq_of_record=np.array(self._seqs, "<i8"),
            arrival_of_record=np.array([record.ingested_at_ms for record in records], "<i8"),
            offset_of_record=np.array([record.offset for record in records], "<i8"),
            stream_of_run=narrow(stream_of_run, len(ids))[order],
            record_of_run=np.repeat(np.arange(len(records), dtype=np.uint32), runs_of_record)[order],
            place_of_run=narrow(places(runs_of_record), int(runs_of_record.max()))[order],
            samples_of_run=counts[order],
            event_times_ms=rearranged(np.floor(timestamps_ms).astype("<i8"), counts, order),
            values=rearranged(np.frombuffer(b"".join(self._values), "<f8"), counts, order).tobytes(),
        )

    def _id(self, head: tuple[bytes, ...], series: SlicedSeries) -> int:
        mlapp_id, node_id, _, agent_id, *_ = head
        texts = (mlapp_id, series.name, node_id, series.model_id, agent_id)
        return series_id(texts, tuple(sorted(series.labels.items())))

    def _ranks(self, heads: Sequence[tuple[bytes, ...]], ids: Sequence[int]) -> Ints:
        """Place of each stream in the order of the table's key; equal for streams of one series."""
        keys = [
            (heads[head][0], self._symbols[series].name, heads[head][1], number)
            for (head, series), number in zip(self._streams, ids, strict=True)
        ]
        rank_of = {key: rank for rank, key in enumerate(sorted(set(keys)))}
        return narrow(np.array([rank_of[key] for key in keys], np.uint32), len(rank_of))

    def _learn(self, contents: Contents) -> _Known:
        if contents.counts != contents.value_counts:
            raise InvalidRecordError(unequal_counts(contents))
        head = self._heads.setdefault(contents.head, len(self._heads))
        streams = []
        unfolded_bytes = 0
        for series, count in zip(contents.series, contents.counts, strict=True):
            pairs = [text for pair in series.labels.items() for text in pair]
            key = (series.name, series.model_id, series.category, series.graph_type, *pairs)
            symbol = self._series.setdefault(key, len(self._symbols))
            if symbol == len(self._symbols):
                self._symbols.append(series)
            streams.append(self._streams.setdefault((head, symbol), len(self._streams)))
            unfolded_bytes += count * (_BYTES_A_ROW + sum(map(len, pairs)))
        samples = sum(contents.counts)
        if unfolded_bytes > MAX_UNFOLDED_BYTES:
            raise InvalidRecordError(
                f"{samples} samples with their labels take {unfolded_bytes} bytes as rows, where {MAX_UNFOLDED_BYTES} "
                "are the most: report shorter labels, or fewer samples in a record"
            )
        known = _Known(
            np.array(streams, np.uint32), np.array(contents.counts, np.uint32), samples, unfolded_bytes
        )
        self._known[contents] = known
        return known
