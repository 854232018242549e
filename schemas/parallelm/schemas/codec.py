"""Records to bytes and back, in Confluent wire format: 0x00, schema id (4 bytes, big-endian), Avro body.

Times stay plain integers: logical types are dropped before a schema is parsed. A record is always resolved to the
schema of this version of the code, so that fields and enum symbols of newer or older writers meet their defaults.
"""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any, TypeVar, overload

import fastavro

from parallelm.schemas import packaged
from parallelm.schemas.conversion import from_avro, to_avro
from parallelm.schemas.errors import DecodeError, EncodeError
from parallelm.schemas.topics import CATALOGUE
from parallelm.schemas.wire import HEADER, MAGIC, schema_id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.schemas.registry import Registry

R = TypeVar("R")

_RECORDS: dict[str, type] = {topic.record.__name__: topic.record for topic in CATALOGUE}

# What fastavro raises for bytes or values that do not fit a schema.
_MISFITS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
    fastavro.schema.SchemaParseException,
    fastavro.read.SchemaResolutionError,
)


def parse(text: str) -> Any:
    """Schema of a JSON text, parsed for fastavro, with logical types dropped."""
    return fastavro.parse_schema(without_logical_types(json.loads(text)))


def without_logical_types(schema: Any) -> Any:
    """The schema of the plain values: what a ``timestamp-millis`` is on the wire."""
    if isinstance(schema, dict):
        return {key: without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [without_logical_types(item) for item in schema]
    return schema


class Codec:
    """Encodes and decodes every record of the platform. Thread-safe: it only ever adds to its caches."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._encoders: dict[type, Callable[[Any], bytes]] = {}
        self._decoders: dict[int, tuple[type, Callable[[io.BytesIO], Any]]] = {}

    def encode(self, record: Any) -> bytes:
        """Bytes of a record of ``parallelm.schemas.records``.

        Raises ``EncodeError`` when a value does not fit, ``UnregisteredSchemaError`` or ``RegistryUnavailableError``
        when the registry has no id for it.
        """
        kind = type(record)
        encoder = self._encoders.get(kind)
        if encoder is None:
            encoder = self._encoders.setdefault(kind, self._make_encoder(kind))
        try:
            return encoder(record)
        except _MISFITS as error:
            raise EncodeError(
                f"{kind.__name__} does not fit its schema: {_reason(error)}; the record: {_shortened(record)}"
            ) from error

    @overload
    def decode(self, data: bytes) -> Any: ...

    @overload
    def decode(self, data: bytes, expected: type[R]) -> R: ...

    def decode(self, data: bytes, expected: type | None = None) -> Any:
        """Record of wire bytes; with ``expected``, of that class and no other.

        Raises ``DecodeError`` when the bytes are not such a record (poison), ``UnknownSchemaError`` or
        ``RegistryUnavailableError`` when their schema is not available now.
        """
        schema_id = schema_id_of(data)
        found = self._decoders.get(schema_id)
        if found is None:
            found = self._decoders.setdefault(schema_id, self._make_decoder(schema_id))
        kind, read = found
        if expected is not None and kind is not expected:
            raise DecodeError(
                f"a record of schema id {schema_id} is a {kind.__name__}, not the expected {expected.__name__}"
            )
        body = io.BytesIO(data)
        body.seek(HEADER.size)
        try:
            record = read(body)
        except _MISFITS as error:
            raise DecodeError(
                f"{len(data)} bytes are not a {kind.__name__} of schema id {schema_id}: {_reason(error)}"
            ) from error
        if body.tell() != len(data):
            raise DecodeError(
                f"{kind.__name__} of schema id {schema_id} ends at byte {body.tell()} of {len(data)}; "
                "bytes after the record are an error"
            )
        return record

    def _make_encoder(self, kind: type) -> Callable[[Any], bytes]:
        if _RECORDS.get(kind.__name__) is not kind:
            raise EncodeError(
                f"{kind.__name__} is not a record of any topic; there are: {', '.join(sorted(_RECORDS))}"
            )
        schema = parse(packaged.current(kind.__name__).text)
        header = HEADER.pack(MAGIC, self.registry.schema_id(kind))
        convert = to_avro(kind)

        def encode(record: Any) -> bytes:
            buffer = io.BytesIO()
            buffer.write(header)
            fastavro.schemaless_writer(buffer, schema, convert(record))
            return buffer.getvalue()

        return encode

    def _make_decoder(self, schema_id: int) -> tuple[type, Callable[[io.BytesIO], Any]]:
        text = self.registry.schema(schema_id)
        name = _record_name(text)
        kind = _RECORDS.get(name)
        if kind is None:
            raise DecodeError(
                f"schema id {schema_id} is {name!r}, which is not a record of any topic; there are: {', '.join(sorted(_RECORDS))}"
            )
        try:
            writer = parse(text)
        except _MISFITS as error:
            raise DecodeError(
                f"schema id {schema_id} does not parse as an Avro schema: {_reason(error)}"
            ) from error
        current = parse(packaged.current(name).text)
        # Resolving a schema with itself changes nothing and costs time.
        reader = None if writer == current else current
        convert = from_avro(kind)

        def read(body: io.BytesIO) -> Any:
            return convert(fastavro.schemaless_reader(body, writer, reader))

        return kind, read


def _record_name(text: str) -> str:
    try:
        schema = json.loads(text)
    except ValueError:
        return text
    return str(schema.get("name", schema)).rpartition(".")[2] if isinstance(schema, dict) else str(schema)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {_shortened(error, text=str)}"


def _shortened(value: object, *, text: Callable[[object], str] = repr, limit: int = 500) -> str:
    shown = text(value)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
