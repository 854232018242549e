"""Confluent wire format and Avro's variable-length integers, as plain Python on ``bytes``. Standard library only."""

from __future__ import annotations

import struct

from parallelm.schemas.errors import DecodeError, EncodeError

MAGIC = 0
HEADER = struct.Struct(">BI")
"""Magic byte and schema id, in front of every record's body."""

MAX_RECORD_BYTES = 950_000
"""Below the broker's limit of 1 MB for a record with its key and framing."""

_MAX_SCHEMA_ID = 2**31 - 1
_LONG_BITS = 64


def schema_id_of(data: bytes) -> int:
    """Schema id of a record's bytes; raises ``DecodeError`` when they do not start as Confluent wire format."""
    if len(data) < HEADER.size or data[0] != MAGIC:
        raise DecodeError(
            f"a record of {len(data)} bytes that starts {data[:8].hex(' ')!r} is not in Confluent wire format: "
            "0x00, then 4 bytes of schema id, then the Avro body"
        )
    schema_id = int.from_bytes(data[1 : HEADER.size], "big")
    if not 0 < schema_id <= _MAX_SCHEMA_ID:
        raise DecodeError(f"schema id {schema_id} is outside 1..{_MAX_SCHEMA_ID}, which no registry assigns")
    return schema_id


def encode_long(value: int) -> bytes:
    """Avro ``long``: zigzag, then seven bits a byte, the lowest first. ``value`` must fit 64 bits."""
    rest = value << 1 if value >= 0 else (~value << 1) | 1
    encoded = bytearray()
    while rest > 0x7F:  # noqa: PLR2004 - seven bits
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


def encode_string(text: str) -> bytes:
    """Avro ``string``: its length in bytes, then UTF-8; raises ``EncodeError`` for what UTF-8 cannot encode."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"the text {text[:100]!r} is not valid Unicode: {error}") from error
    return encode_bytes(encoded)


def encode_bytes(data: bytes) -> bytes:
    """Avro ``bytes``, and ``string`` of what is UTF-8 already: the length, then the bytes."""
    return encode_long(len(data)) + data


def decode_long(data: bytes, position: int) -> tuple[int, int]:
    """``(value, position after it)`` of an Avro ``long``.

    Raises ``IndexError`` at the end of the data and ``DecodeError`` for more than 64 bits.
    """
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte's top bit is clear
            break
        shift += 7
        if shift >= _LONG_BITS:
            raise DecodeError(f"an Avro long before byte {position} has more than 64 bits")
    if result >> _LONG_BITS:
        raise DecodeError(f"an Avro long before byte {position} has more than 64 bits")
    return (result >> 1) ^ -(result & 1), position
