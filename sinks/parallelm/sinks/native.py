"""Columns in ClickHouse's own form, as they lie in a block of its native protocol (format ``Native``). Pure functions."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    Index = npt.NDArray[np.integer]

_INT64 = struct.Struct("<q")
_DICTIONARY_VERSION = _INT64.pack(1)
_OWN_KEYS, _NEW_KEYS = 1 << 9, 1 << 10
_CONTINUES = 0x80


class NativeColumn(NamedTuple):
    """One column with all its rows."""

    name: str
    kind: str
    """Type of the column in ClickHouse's words."""
    make: Callable[[], bytes]
    """Gives its rows; called when they are sent, so that the columns of a block need not be there all at once."""


@dataclass(frozen=True, slots=True)
class NativeBlock:
    """Rows as a server takes them."""

    row_count: int
    columns: Sequence[NativeColumn]
    size_bytes: int
    """Memory that it takes until it is sent."""

    def parts(self, *, states_serialization: bool) -> Iterator[bytes]:
        """Its bytes. ``states_serialization``: the revision spoken wants to know of each column whether it is sparse."""
        yield varint(len(self.columns)) + varint(self.row_count)
        for column in self.columns:
            kind = b"\0" if states_serialization else b""
            yield string(column.name.encode()) + string(column.kind.encode()) + kind
            yield column.make()


def varint(number: int) -> bytes:
    """LEB128 of a number that is not negative."""
    encoded = bytearray()
    while number >= _CONTINUES:
        encoded.append(number & 0x7F | _CONTINUES)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def string(text: bytes) -> bytes:
    """One ``String``."""
    return varint(len(text)) + text


def low_cardinality(keys: Sequence[bytes], index: Index) -> bytes:
    """``LowCardinality(String)``: ``index`` says of each row which of ``keys`` it has."""
    return _DICTIONARY_VERSION + _dictionary(keys, index)


def constant(value: bytes, row_count: int) -> bytes:
    """``LowCardinality(String)`` of one value."""
    return low_cardinality([value], np.zeros(row_count, np.uint8))


def map_of(pair_counts: Index, keys: Sequence[bytes], index: Index, values: bytes) -> bytes:
    """``Map(LowCardinality(String), String)``: pairs of each row; the key of each pair; ``values`` are strings in order."""
    offsets = np.cumsum(pair_counts, dtype="<u8").tobytes()
    return b"".join((_DICTIONARY_VERSION, offsets, _dictionary(keys, index), values))


def _dictionary(keys: Sequence[bytes], index: Index) -> bytes:
    if not len(index):
        return b""
    numbers = narrow(index, len(keys))
    flags = _OWN_KEYS | _NEW_KEYS | {1: 0, 2: 1, 4: 2}[numbers.itemsize]
    return b"".join(
        (
            _INT64.pack(flags),
            _INT64.pack(len(keys)),
            *map(string, keys),
            _INT64.pack(len(numbers)),
            numbers.tobytes(),
        )
    )


def narrow(index: Index, keys: int) -> Index:
    """The same numbers in as few bytes as numbers below ``keys`` need."""
    kind = "u1" if keys <= 1 << 8 else "<u2" if keys <= 1 << 16 else "<u4"
    return index.astype(kind, copy=False)
