"""Blocks of columns on the wire, plain or in checksummed compressed frames."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cramjam
from clickhouse_cityhash.cityhash import CityHash128
from lz4 import block as lz4_block

from parallelm.mcenter.engine.types import skip_column
from parallelm.mcenter.engine.wire import ProtocolError, Reader, string, varint

if TYPE_CHECKING:
    from parallelm.mcenter.engine.wire import Write

LZ4, ZSTD, NONE = 0x82, 0x90, 0x02
MAX_BLOCK_BYTES = 512 * 1024 * 1024
MAX_FRAME_BYTES = 512 * 1024 * 1024
MAX_COLUMNS = 10_000
_FRAME = struct.Struct("<BII")
_CHECKSUM = struct.Struct("<QQ")
_WORD = (1 << 64) - 1
_MAX_LZ4_RATIO = 255
_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""Field 1, is_overflows: 0; field 2, bucket_num: -1; end."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block as it came: ``body`` is what ClickHouse's format ``Native`` calls a block."""

    columns: int
    rows: int
    body: bytes


def copy_block(reader: Reader, write: Write, *, compressed: bool) -> tuple[int, int]:
    """Give the block that follows in the stream to ``write``, but one without columns; how many columns and rows it has.

    Raises ``ProtocolError`` when it is broken or larger than the limit: then what was written is a part of it.
    """
    source = Reader(lambda _wanted: _read_frame(reader)) if compressed else reader
    _skip_info(source)
    columns, rows = _shape(source)
    if columns:
        write(varint(columns) + varint(rows))
        source.pass_on(write, MAX_BLOCK_BYTES)
        _skip_columns(source, columns, rows)
        source.end()
    if compressed and source.buffered:
        raise ProtocolError("bytes follow a block inside its compressed frame")
    return columns, rows


def split_blocks(native: bytes) -> list[Block]:
    """Blocks of a complete answer in format Native."""
    rest = memoryview(native)

    def source(_wanted: int) -> bytes:
        nonlocal rest
        piece, rest = rest, rest[len(rest) :]
        return bytes(piece)

    reader = Reader(source)
    blocks = []
    while reader.has_more():
        blocks.append(_walk(reader))
    return blocks


def write_block(body: bytes, method: int | None) -> bytes:
    """A block with its info before it, in one frame when a compression method is given."""
    plain = _BLOCK_INFO + body
    return plain if method is None else frame(plain, method)


def header(columns: list[tuple[str, str]]) -> bytes:
    """Body of a block without rows that gives names and types."""
    named = b"".join(string(name) + string(kind) for name, kind in columns)
    return varint(len(columns)) + varint(0) + named


def _skip_info(reader: Reader) -> None:
    while field := reader.varint():
        reader.skip({1: 1, 2: 4}.get(field) or _unknown_field(field))


def _walk(reader: Reader) -> Block:
    reader.mark(MAX_BLOCK_BYTES)
    columns, rows = _shape(reader)
    _skip_columns(reader, columns, rows)
    return Block(columns, rows, reader.taken())


def _shape(reader: Reader) -> tuple[int, int]:
    columns, rows = reader.varint(), reader.varint()
    if columns > MAX_COLUMNS:
        raise ProtocolError(f"a block of {columns} columns where at most {MAX_COLUMNS} are allowed")
    return columns, rows


def _skip_columns(reader: Reader, columns: int, rows: int) -> None:
    for _ in range(columns):
        reader.text()
        skip_column(reader, reader.text(), rows)


def _unknown_field(field: int) -> int:
    raise ProtocolError(f"field {field} of a block's info is unknown")


def _read_frame(reader: Reader) -> bytes:
    first, second = _CHECKSUM.unpack(reader.raw(_CHECKSUM.size))
    head = reader.raw(_FRAME.size)
    method, size, plain_size = _FRAME.unpack(head)
    if size < _FRAME.size or max(size, plain_size) > MAX_FRAME_BYTES:
        raise ProtocolError(f"a compressed frame of {size} bytes for {plain_size}")
    packed = reader.raw(size - _FRAME.size)
    # High word first on the wire.
    if CityHash128(head + packed) != (first << 64 | second):
        raise ProtocolError("the checksum of a compressed block does not match: the data is damaged")
    if plain_size > _MAX_LZ4_RATIO * len(packed) + 64 and method == LZ4:
        raise ProtocolError(f"a compressed frame of {size} bytes cannot hold {plain_size}")
    return _unpack(method, packed, plain_size)


def _unpack(method: int, packed: bytes, plain_size: int) -> bytes:
    try:
        if method == LZ4:
            plain: bytes = lz4_block.decompress(packed, uncompressed_size=plain_size)
        elif method == ZSTD:
            # Into a buffer of the announced size: what holds more is refused and not unpacked.
            with mmap.mmap(-1, max(1, plain_size)) as output:
                plain = output[: cramjam.zstd.decompress_into(packed, output)]
        elif method == NONE:
            plain = packed
        else:
            raise ProtocolError(f"compression method {method:#x} is unknown")
    except (lz4_block.LZ4BlockError, cramjam.DecompressionError) as error:
        raise ProtocolError(f"a compressed block cannot be unpacked: {error}") from error
    if len(plain) != plain_size:
        raise ProtocolError(f"a compressed block holds {len(plain)} bytes and not {plain_size}")
    return plain


def frame(plain: bytes, method: int) -> bytes:
    """One compressed frame with its checksum."""
    if method == LZ4:
        packed: bytes = lz4_block.compress(plain, store_size=False)
    else:
        packed = bytes(cramjam.zstd.compress(plain)) if method == ZSTD else plain
    framed = _FRAME.pack(method, len(packed) + _FRAME.size, len(plain)) + packed
    checksum = CityHash128(framed)
    return _CHECKSUM.pack(checksum >> 64, checksum & _WORD) + framed
