"""Writes ``StatisticsBatch`` from arrays, without touching single samples: the hot path out of a component.

In an Avro ``array<double>`` the items of a block are contiguous little-endian float64, so arrays are copied in as they
are. The result is plain Avro that any client reads; ``slicing`` is the other end. Standard library only: the component
library imports this.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from parallelm.schemas.errors import EncodeError
from parallelm.schemas.records import StatisticsBatch
from parallelm.schemas.wire import HEADER, MAGIC, encode_long, encode_string

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.schemas.records import Origin
    from parallelm.schemas.registry import Registry
    from parallelm.schemas.series_key import SeriesKey

_SAMPLE_BYTES = 16
_COUNT_BYTES = 10
_END = b"\0"


class StatisticsEncoder:
    """Encodes the batches of one producer: ``add`` series, watch ``size_bytes``, then ``take`` the record.

    Not thread-safe; made for one sender thread.
    """

    def __init__(self, registry: Registry, origin: Origin, producer_id: str) -> None:
        self._prefix = HEADER.pack(MAGIC, registry.schema_id(StatisticsBatch)) + b"".join(
            map(encode_string, (*astuple(origin), producer_id))
        )
        self._parts: list[Any] = []
        self._count = 0
        self._size = 0

    @property
    def size_bytes(self) -> int:
        """Size of the record that ``take`` would give now, or a few bytes more; never less."""
        return len(self._prefix) + 2 * _COUNT_BYTES + 1 + self._size

    @property
    def series_count(self) -> int:
        """Series added since the last ``take``."""
        return self._count

    def add(self, header: bytes, timestamps_ms: array[float] | bytes, values: array[float] | bytes) -> None:
        """Append one series: its ``series_header``, and equally many timestamps and values.

        Samples are ``array('d')`` or the bytes of little-endian float64. They are copied by ``take``, not before.
        Raises ``EncodeError`` when their numbers differ.
        """
        stamps, count = _float64(timestamps_ms)
        numbers, count_of_values = _float64(values)
        if count != count_of_values:
            raise EncodeError(
                f"a series has {count} timestamps and {count_of_values} values; the numbers must be equal"
            )
        self._count += 1
        if count:
            length = encode_long(count)
            self._parts += (header, length, stamps, _END, length, numbers, _END)
        else:
            self._parts += (header, _END, _END)
        self._size += series_size_bytes(header, count)

    def take(self, seq: int) -> bytes:
        """Wire bytes of the batch with number ``seq``; the encoder is empty again."""
        start = [self._prefix, encode_long(seq)]
        if self._count:
            start.append(encode_long(self._count))
        record = b"".join([*start, *self._parts, _END])
        self._parts = []
        self._count = self._size = 0
        return record


def series_header(series: SeriesKey) -> bytes:
    """Encoded fields that precede a series' samples. Make them once for each series and reuse them.

    Raises ``EncodeError`` for a text that UTF-8 cannot encode.
    """
    labels = series.labels
    texts = b"".join(map(encode_string, series[:-1]))
    if not labels:
        return texts + _END
    pairs = b"".join(encode_string(key) + encode_string(value) for key, value in labels)
    return texts + encode_long(len(labels)) + pairs + _END


def series_size_bytes(header: bytes, samples: int) -> int:
    """Upper bound of what a series with this many samples adds to a record, in bytes."""
    return len(header) + 2 * (_COUNT_BYTES + 1) + samples * _SAMPLE_BYTES


def float64_bytes(numbers: Sequence[float]) -> bytes:
    """Numbers as little-endian float64."""
    return bytes(_float64(array("d", numbers))[0])


def _float64(samples: array[float] | bytes) -> tuple[array[float] | bytes, int]:
    """Samples in little-endian order, and their number."""
    if isinstance(samples, bytes):
        count, rest = divmod(len(samples), 8)
        if rest:
            raise EncodeError(f"{len(samples)} bytes are not a whole number of float64 values of 8 bytes")
        return samples, count
    if sys.byteorder == "big":
        samples = array("d", samples)
        samples.byteswap()
    return samples, len(samples)
