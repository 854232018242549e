"""Reads ``StatisticsBatch`` as slices, without touching single samples: the hot path into ClickHouse.

In an Avro ``array<double>`` the items of a block are contiguous little-endian float64, so the samples of a series are
cut out as bytes. Any blocking that Avro allows is read. Standard library only, but for records that another version of
the schema wrote, which go through the codec. ``statistics_encoder`` is the other end.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.schemas import packaged
from parallelm.schemas.errors import DecodeError
from parallelm.schemas.records import StatisticsBatch
from parallelm.schemas.statistics_encoder import float64_bytes
from parallelm.schemas.wire import HEADER, decode_long, schema_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parallelm.schemas.records import Series
    from parallelm.schemas.registry import Registry

_ONE_BYTE = 0x80
_REMEMBERED_HEADERS = 20_000
_REMEMBERED_HEADER_BYTES = 1_024

HeaderFields = tuple[list[bytes], dict[bytes, bytes]]
"""Texts and labels of a series."""

HeaderMemory = dict[bytes, tuple[bytes, HeaderFields]]
"""Bytes of a series' header to the header that followed it, as bytes and as fields."""


class SlicedSeries(NamedTuple):
    """One series of a record: UTF-8 texts, and samples as little-endian float64.

    Records share their ``labels``: never change them.
    """

    name: bytes
    model_id: bytes
    category: bytes
    graph_type: bytes
    labels: dict[bytes, bytes]
    timestamps_ms: bytes
    values: bytes


class SlicedBatch(NamedTuple):
    """One ``StatisticsBatch`` with its origin's ids as UTF-8."""

    mlapp_id: bytes
    node_id: bytes
    pipeline_instance_id: bytes
    agent_id: bytes
    producer_id: bytes
    seq: int
    series: list[SlicedSeries]


_BATCH_TEXTS = SlicedBatch._fields.index("seq")
_SERIES_TEXTS = SlicedSeries._fields.index("labels")
"""How many texts stand in front, in the order of the schema."""


class StatisticsDecoder:
    """Decodes wire bytes of ``StatisticsBatch`` into slices; other versions of the schema through the codec."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._decoders: dict[int, Callable[[bytes], SlicedBatch]] = {}

    def decode(self, data: bytes) -> SlicedBatch:
        """Slices of one record.

        Raises ``DecodeError`` for poison, ``UnknownSchemaError`` or ``RegistryUnavailableError`` when its schema is
        not available now. Does not check lengths and times of samples: the caller refuses unequal lengths.
        """
        schema_id = schema_id_of(data)
        decoder = self._decoders.get(schema_id)
        if decoder is None:
            decoder = self._decoders.setdefault(schema_id, self._make_decoder(schema_id))
        return decoder(data)

    def _make_decoder(self, schema_id: int) -> Callable[[bytes], SlicedBatch]:
        if _shape(self._registry.schema(schema_id)) == _shape(packaged.current("StatisticsBatch").text):
            memory: HeaderMemory = {}
            return lambda data: slice_statistics(data, memory)
        from parallelm.schemas.codec import Codec

        codec = Codec(self._registry)
        return lambda data: _sliced(codec.decode(data, StatisticsBatch))


def slice_statistics(data: bytes, memory: HeaderMemory) -> SlicedBatch:
    """Slices of a ``StatisticsBatch`` of the current schema, wire header included; raises ``DecodeError``."""
    try:
        batch, position = _batch(data, HEADER.size, memory)
    except IndexError:
        raise DecodeError(f"{len(data)} bytes are not a StatisticsBatch: the data ends too early") from None
    except UnicodeDecodeError as error:
        raise DecodeError(
            f"{len(data)} bytes are not a StatisticsBatch: a text is not UTF-8: {error}"
        ) from None
    if position != len(data):
        raise DecodeError(
            f"StatisticsBatch ends at byte {position} of {len(data)}; bytes after the record are an error"
        )
    return batch


def _batch(data: bytes, position: int, memory: HeaderMemory) -> tuple[SlicedBatch, int]:
    start = position
    texts, position = _texts(data, position, _BATCH_TEXTS)
    _check_utf8(data[start:position], texts)
    seq, position = decode_long(data, position)
    series: list[SlicedSeries] = []
    header = b""
    count, position = _block_count(data, position)
    while count:
        for _ in range(count):
            header, (names, labels), position = _remembered_header(data, position, header, memory)
            timestamps_ms, position = _doubles(data, position)
            values, position = _doubles(data, position)
            series.append(SlicedSeries._make((*names, labels, timestamps_ms, values)))
        count, position = _block_count(data, position)
    return SlicedBatch._make((*texts, seq, series)), position


def _remembered_header(
    data: bytes, position: int, previous: bytes, memory: HeaderMemory
) -> tuple[bytes, HeaderFields, int]:
    """Header of a series as bytes and as fields, and the position after it.

    A producer reports its series in the same order again and again: which header followed ``previous`` the last time is
    remembered. A header says itself where it ends, so equal bytes are an equal header.
    """
    guess = memory.get(previous)
    if guess is not None and data.startswith(guess[0], position):
        return *guess, position + len(guess[0])
    fields, end = _header(data, position)
    header = data[position:end]
    if len(header) <= _REMEMBERED_HEADER_BYTES:
        if len(memory) >= _REMEMBERED_HEADERS:
            memory.clear()
        memory[previous] = header, fields
        return header, fields, end
    return b"", fields, end


def _header(data: bytes, position: int) -> tuple[HeaderFields, int]:
    start = position
    texts, position = _texts(data, position, _SERIES_TEXTS)
    labels: dict[bytes, bytes] = {}
    count, position = _block_count(data, position)
    while count:
        for _ in range(count):
            key, position = _text(data, position)
            labels[key], position = _text(data, position)
        count, position = _block_count(data, position)
    _check_utf8(data[start:position], (*texts, *labels, *labels.values()))
    return (texts, labels), position


def _texts(data: bytes, position: int, count: int) -> tuple[list[bytes], int]:
    texts = []
    for _ in range(count):
        text, position = _text(data, position)
        texts.append(text)
    return texts, position


def _text(data: bytes, position: int) -> tuple[bytes, int]:
    length = data[position]
    if length < _ONE_BYTE and not length & 1:
        position += 1
        end = position + (length >> 1)
        return data[position:end], end
    length, position = decode_long(data, position)
    if length < 0:
        raise DecodeError(f"the length of a text before byte {position} is negative: {length}")
    end = position + length
    return data[position:end], end


def _block_count(data: bytes, position: int) -> tuple[int, int]:
    """Items of the next block of an array or map; a negative count is followed by the block's size in bytes."""
    count = data[position]
    if count < _ONE_BYTE and not count & 1:
        return count >> 1, position + 1
    count, position = decode_long(data, position)
    if count < 0:
        _, position = decode_long(data, position)
        return -count, position
    return count, position


def _doubles(data: bytes, position: int) -> tuple[bytes, int]:
    count, position = _block_count(data, position)
    if not count:
        return b"", position
    end = position + 8 * count
    block = data[position:end]
    count, position = _block_count(data, end)
    if not count:
        return block, position
    blocks = [block]
    while count:
        end = position + 8 * count
        blocks.append(data[position:end])
        count, position = _block_count(data, end)
    return b"".join(blocks), position


def _check_utf8(region: bytes, texts: Iterable[bytes]) -> None:
    """Raise unless the texts are UTF-8. ``region`` holds them all: when it is ASCII, one check is enough."""
    if not region.isascii():
        for text in texts:
            text.decode()


def _shape(text: str) -> Any:
    """The parts of a schema that determine the bytes: not docs, defaults, aliases and logical types."""
    return _shape_of(json.loads(text))


def _shape_of(schema: Any) -> Any:
    if isinstance(schema, dict):
        relevant = ("type", "items", "values", "symbols", "size", "fields")
        return {key: _shape_of(schema[key]) for key in relevant if key in schema} | {
            "name": str(schema.get("name", "")).rpartition(".")[2]
        }
    if isinstance(schema, list):
        return [_shape_of(item) for item in schema]
    return schema


def _sliced(batch: StatisticsBatch) -> SlicedBatch:
    ids = astuple(batch.origin)
    own = [getattr(batch, name) for name in SlicedBatch._fields[len(ids) : _BATCH_TEXTS]]
    series = [_sliced_series(each) for each in batch.series]
    return SlicedBatch._make((*(text.encode() for text in (*ids, *own)), batch.seq, series))


def _sliced_series(series: Series) -> SlicedSeries:
    texts = [getattr(series, name).encode() for name in SlicedSeries._fields[:_SERIES_TEXTS]]
    labels = {key.encode(): value.encode() for key, value in series.labels.items()}
    return SlicedSeries._make(
        (*texts, labels, float64_bytes(series.timestamps_ms), float64_bytes(series.values))
    )
