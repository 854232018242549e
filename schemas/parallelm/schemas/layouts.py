"""Reads ``StatisticsBatch`` by position when its layout is that of an earlier record, with no statement run for a series.

A component reports the same series again and again: its records differ in nothing but numbers. Of such a record the
layout is remembered: which bytes are numbers, and what all others say. The next record of the same length whose other
bytes are equal is cut by position. Every other record goes through ``slicing``.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from parallelm.schemas.slicing import StatisticsDecoder
from parallelm.schemas.wire import HEADER, decode_long, encode_bytes, encode_long

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from parallelm.schemas.registry import Registry
    from parallelm.schemas.slicing import SlicedBatch, SlicedSeries

MAX_REMEMBERED_BYTES = 32 * 1024 * 1024
_MAX_SIGHTINGS = 50_000
_LAYOUTS_A_HINT = 4
_RECORD_COPIES = 3
"""A layout holds mask and fixed bytes of its record, and slices about as large as its series."""


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What a record says apart from its numbers. Records of one layout share the object."""

    head: tuple[bytes, ...]
    """Texts of the record in the order of the schema: ids of the origin, producer."""
    series: tuple[SlicedSeries, ...]
    """Its series, without samples."""
    counts: tuple[int, ...]
    """Timestamps of each series."""
    value_counts: tuple[int, ...]
    """Values of each series: in a record that can be stored, as many."""


class CutRecord(NamedTuple):
    """One record: what its samples are about, and the samples of each series as little-endian float64."""

    contents: Contents
    seq: int
    timestamps_ms: Sequence[bytes]
    values: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class _Layout:
    contents: Contents
    mask: int
    """1 in all bits that do not belong to a number."""
    fixed: int
    """Those bits of the record, as one little-endian integer."""
    seq_at: int
    timestamps_ms: Callable[[bytes], Sequence[bytes]]
    values: Callable[[bytes], Sequence[bytes]]


class LayoutReader:
    """Reads records and remembers their layouts. Not thread-safe."""

    def __init__(self, registry: Registry) -> None:
        self._decoder = StatisticsDecoder(registry)
        self._layouts: dict[tuple[Hashable, int], list[_Layout]] = {}
        self.remembered_bytes = 0
        """Memory of all layouts, roughly."""
        self._seen: set[tuple[Hashable, int]] = set()

    def read(self, data: bytes, hint: Hashable) -> CutRecord:
        """One record; ``hint`` is likely to be equal for records of one origin, such as the key.

        Raises what ``StatisticsDecoder.decode`` does, and checks no more: see ``value_counts``.
        """
        place = hint, len(data)
        layouts = self._layouts.get(place)
        if layouts is not None:
            bits = int.from_bytes(data, "little")
            for layout in layouts:
                if bits & layout.mask == layout.fixed:
                    seq, _ = decode_long(data, layout.seq_at)
                    return CutRecord(layout.contents, seq, layout.timestamps_ms(data), layout.values(data))
        batch = self._decoder.decode(data)
        contents = _contents(batch)
        self._remember(place, data, batch, contents)
        return CutRecord(
            contents,
            batch.seq,
            [series.timestamps_ms for series in batch.series],
            [series.values for series in batch.series],
        )

    def _remember(
        self, place: tuple[Hashable, int], data: bytes, batch: SlicedBatch, contents: Contents
    ) -> None:
        """Remember a layout when its length comes for the second time: many records never have an equal."""
        if place not in self._seen:
            if len(self._seen) >= _MAX_SIGHTINGS:
                self._seen.clear()
            self._seen.add(place)
            return
        layout = _layout(data, batch, contents)
        if layout is None:
            return
        cost = _RECORD_COPIES * len(data)
        if self.remembered_bytes + cost > MAX_REMEMBERED_BYTES:
            self._layouts.clear()
            self.remembered_bytes = 0
        self.remembered_bytes += cost
        layouts = self._layouts.setdefault(place, [])
        layouts.insert(0, layout)
        if len(layouts) > _LAYOUTS_A_HINT:
            layouts.pop()
            self.remembered_bytes -= cost


def unequal_counts(contents: Contents) -> str:
    """Which series has not as many values as timestamps; there must be one."""
    counts = zip(contents.series, contents.counts, contents.value_counts, strict=True)
    number, name, times, values = next(
        (number, series.name, times, values)
        for number, (series, times, values) in enumerate(counts)
        if times != values
    )
    return f"series {number} ({name.decode(errors='replace')!r}) has {times} timestamps and {values} values"


def _contents(batch: SlicedBatch) -> Contents:
    return Contents(
        (batch.mlapp_id, batch.node_id, batch.pipeline_instance_id, batch.agent_id, batch.producer_id),
        tuple(series._replace(timestamps_ms=b"", values=b"") for series in batch.series),
        tuple(len(series.timestamps_ms) // 8 for series in batch.series),
        tuple(len(series.values) // 8 for series in batch.series),
    )


def _layout(data: bytes, batch: SlicedBatch, contents: Contents) -> _Layout | None:
    """Layout of a record in the usual form, one block an array; None for any other.

    The positions come from writing the record again: when the bytes are equal, so are the positions.
    """
    written = bytearray(data[: HEADER.size])
    for text in contents.head:
        written += encode_bytes(text)
    seq_at = len(written)
    written += encode_long(batch.seq)
    seq_end = len(written)
    timestamps_ms: list[slice] = []
    values: list[slice] = []
    if batch.series:
        written += encode_long(len(batch.series))
    for series in batch.series:
        written += _header(series)
        for numbers, places in ((series.timestamps_ms, timestamps_ms), (series.values, values)):
            places.append(_write_doubles(written, numbers))
    written.append(0)
    if written != data:
        return None
    mask = bytearray(b"\xff" * len(data))
    # Whether another byte of the number follows belongs to the layout.
    mask[seq_at:seq_end] = b"\x80" * (seq_end - seq_at)
    for place in (*timestamps_ms, *values):
        mask[place] = bytes(place.stop - place.start)
    mask_bits = int.from_bytes(mask, "little")
    return _Layout(
        contents,
        mask_bits,
        int.from_bytes(data, "little") & mask_bits,
        seq_at,
        _cutter(timestamps_ms),
        _cutter(values),
    )


def _header(series: SlicedSeries) -> bytes:
    """Encoded fields that precede a series' samples."""
    texts = b"".join(map(encode_bytes, (series.name, series.model_id, series.category, series.graph_type)))
    if not series.labels:
        return texts + b"\0"
    pairs = b"".join(encode_bytes(text) for pair in series.labels.items() for text in pair)
    return texts + encode_long(len(series.labels)) + pairs + b"\0"


def _write_doubles(written: bytearray, numbers: bytes) -> slice:
    """Append an array in one block; where its numbers are."""
    if numbers:
        written += encode_long(len(numbers) // 8)
    place = slice(len(written), len(written) + len(numbers))
    written += numbers
    written.append(0)
    return place


def _cutter(places: list[slice]) -> Callable[[bytes], Sequence[bytes]]:
    if len(places) > 1:
        return itemgetter(*places)
    if not places:
        return lambda _: ()
    (place,) = places
    return lambda data: (data[place],)
