"""The hot path of ``StatisticsBatch``: written from arrays and read as slices, without touching single samples.

In an Avro ``array<double>`` the items of a block are contiguous little-endian float64. So an encoder copies arrays in
as they are, and a decoder cuts them out as bytes, ready for ClickHouse. Both speak plain Avro: fastavro reads what the
encoder writes, and the decoder reads whatever blocking a writer chose. Standard library only, but for records that
another version of the schema wrote, which go through the codec.
"""

from __future__ import annotations

import json
import sys
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.schemas import packaged
from parallelm.schemas.errors import DecodeError, EncodeError
from parallelm.schemas.records import StatisticsBatch
from parallelm.schemas.wire import HEADER, MAGIC, decode_long, encode_long, encode_string, schema_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from parallelm.schemas.records import Origin
    from parallelm.schemas.registry import Registry

_SAMPLE_BYTES = 16
_COUNT_BYTES = 10
_END = b"\0"
_ONE_BYTE = 0x80
_REMEMBERED_HEADERS = 20_000

HeaderFields = tuple[bytes, bytes, bytes, bytes, dict[bytes, bytes]]
"""Name, model id, category, graph type and labels of a series."""

HeaderMemory = dict[bytes, tuple[bytes, HeaderFields]]
"""Bytes of a series' header to the header that followed it, as bytes and as fields."""


class SlicedSeries(NamedTuple):
    """One series as it stood in the record: UTF-8 texts, and samples as little-endian float64.

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


class StatisticsEncoder:
    """Encodes the batches of one producer: ``add`` series, watch ``size_bytes``, then ``take`` the record.

    Not thread-safe; made for one sender thread.
    """

    def __init__(self, registry: Registry, origin: Origin, producer_id: str) -> None:
        self._prefix = HEADER.pack(MAGIC, registry.schema_id(StatisticsBatch)) + b"".join(
            map(
                encode_string,
                (origin.mlapp_id, origin.node_id, origin.pipeline_instance_id, origin.agent_id, producer_id),
            )
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
        Raises ``EncodeError`` when there are more of one than of the other.
        """
        stamps, count = _float64(timestamps_ms)
        numbers, count_of_values = _float64(values)
        if count != count_of_values:
            raise EncodeError(
                f"a series has {count} timestamps and {count_of_values} values; they must be equally many"
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


def series_header(
    name: str, model_id: str, category: str, graph_type: str, labels: Mapping[str, str]
) -> bytes:
    """What stands in front of a series' samples. Make it once for each series and keep it."""
    texts = b"".join(map(encode_string, (name, model_id, category, graph_type)))
    if not labels:
        return texts + _END
    pairs = b"".join(encode_string(key) + encode_string(value) for key, value in labels.items())
    return texts + encode_long(len(labels)) + pairs + _END


def series_size_bytes(header: bytes, samples: int) -> int:
    """Upper bound of what a series with this many samples adds to a record, in bytes."""
    return len(header) + 2 * (_COUNT_BYTES + 1) + samples * _SAMPLE_BYTES


def _float64(samples: array[float] | bytes) -> tuple[array[float] | bytes, int]:
    """Samples in little-endian order, and how many they are."""
    if isinstance(samples, bytes):
        return samples, len(samples) // 8
    if sys.byteorder == "big":
        samples = array("d", samples)
        samples.byteswap()
    return samples, len(samples)


class StatisticsDecoder:
    """Decodes wire bytes of ``StatisticsBatch`` into slices; other versions of the schema through the codec."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._decoders: dict[int, Callable[[bytes], SlicedBatch]] = {}

    def decode(self, data: bytes) -> SlicedBatch:
        """Slices of one record.

        Raises ``DecodeError`` for poison, ``UnknownSchemaError`` or ``RegistryUnavailableError`` when its schema cannot
        be had now. Lengths and times of samples are not looked at: unequal lengths are the caller's to refuse.
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
        raise DecodeError(f"{len(data)} bytes are no StatisticsBatch: the data ends too early") from None
    except UnicodeDecodeError as error:
        raise DecodeError(f"{len(data)} bytes are no StatisticsBatch: a text is not UTF-8: {error}") from None
    if position != len(data):
        raise DecodeError(
            f"StatisticsBatch ends at byte {position} of {len(data)}; bytes after the record are an error"
        )
    return batch


def _batch(data: bytes, position: int, memory: HeaderMemory) -> tuple[SlicedBatch, int]:
    start = position
    mlapp_id, position = _text(data, position)
    node_id, position = _text(data, position)
    pipeline_instance_id, position = _text(data, position)
    agent_id, position = _text(data, position)
    producer_id, position = _text(data, position)
    texts = (mlapp_id, node_id, pipeline_instance_id, agent_id, producer_id)
    _check_utf8(data[start:position], texts)
    seq, position = decode_long(data, position)
    series: list[SlicedSeries] = []
    header = b""
    count, position = _block_count(data, position)
    while count:
        for _ in range(count):
            header, fields, position = _remembered_header(data, position, header, memory)
            timestamps_ms, position = _doubles(data, position)
            values, position = _doubles(data, position)
            series.append(SlicedSeries(*fields, timestamps_ms, values))
        count, position = _block_count(data, position)
    return SlicedBatch(*texts, seq, series), position


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
    if len(memory) >= _REMEMBERED_HEADERS:
        memory.clear()
    memory[previous] = header, fields
    return header, fields, end


def _header(data: bytes, position: int) -> tuple[HeaderFields, int]:
    start = position
    name, position = _text(data, position)
    model_id, position = _text(data, position)
    category, position = _text(data, position)
    graph_type, position = _text(data, position)
    labels: dict[bytes, bytes] = {}
    count, position = _block_count(data, position)
    while count:
        for _ in range(count):
            key, position = _text(data, position)
            labels[key], position = _text(data, position)
        count, position = _block_count(data, position)
    _check_utf8(data[start:position], (name, model_id, category, graph_type, *labels, *labels.values()))
    return (name, model_id, category, graph_type, labels), position


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


def _check_utf8(region: bytes, texts: tuple[bytes, ...]) -> None:
    """Raise unless the texts are UTF-8. ``region`` holds them all: when it is ASCII, one look is enough."""
    if not region.isascii():
        for text in texts:
            text.decode()


def _shape(text: str) -> Any:
    """What of a schema decides about the bytes: docs, defaults, aliases and logical types do not."""
    return _shape_of(json.loads(text))


def _shape_of(schema: Any) -> Any:
    if isinstance(schema, dict):
        kept = ("type", "items", "values", "symbols", "size", "fields")
        return {key: _shape_of(schema[key]) for key in kept if key in schema} | {
            "name": str(schema.get("name", "")).rpartition(".")[2]
        }
    if isinstance(schema, list):
        return [_shape_of(item) for item in schema]
    return schema


def _sliced(batch: StatisticsBatch) -> SlicedBatch:
    origin = batch.origin
    return SlicedBatch(
        origin.mlapp_id.encode(),
        origin.node_id.encode(),
        origin.pipeline_instance_id.encode(),
        origin.agent_id.encode(),
        batch.producer_id.encode(),
        batch.seq,
        [
            SlicedSeries(
                series.name.encode(),
                series.model_id.encode(),
                series.category.encode(),
                series.graph_type.encode(),
                {key.encode(): value.encode() for key, value in series.labels.items()},
                _packed(series.timestamps_ms),
                _packed(series.values),
            )
            for series in batch.series
        ],
    )


def _packed(numbers: Sequence[float]) -> bytes:
    return bytes(_float64(array("d", numbers))[0])
