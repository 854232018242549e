"""One TCP client's conversation in ClickHouse's native protocol: handshake, queries, inserts, pings, cancel."""

from __future__ import annotations

import logging
import os
import select
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.mcenter.engine.blocks import LZ4, ZSTD, header, read_block, split_blocks, write_block
from parallelm.mcenter.engine.engine import Chunk, EngineError
from parallelm.mcenter.engine.statements import insert_of, is_describable, is_read, without_format
from parallelm.mcenter.engine.types import insertable
from parallelm.mcenter.engine.wire import ProtocolError, Reader, socket_source, string, varint

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from parallelm.mcenter.engine.credentials import Credentials
    from parallelm.mcenter.engine.engine import Connection, Engine
    from parallelm.mcenter.engine.statements import Insert

log = logging.getLogger(__name__)

REVISION = 54440
"""Below 54441 the protocol has no inter-server secret, no OpenTelemetry context, no sparse columns, no addendum."""
_OLDEST_REVISION = 54429
_HANDSHAKE_TEXT = 4096

_HELLO, _QUERY, _DATA, _CANCEL, _PING = range(5)
_TO_HELLO, _TO_DATA, _TO_EXCEPTION, _TO_PROGRESS, _TO_PONG, _TO_END, _TO_PROFILE = range(7)
_IMPORTANT = 1
_UNSUPPORTED, _UNEXPECTED_PACKET = 48, 101


@dataclass(slots=True)
class _Query:
    """A query as the client sent it."""

    sql: str
    compression: int | None
    settings: dict[str, str] = field(default_factory=dict)
    """Without those that this engine does not know, unless the client flagged them as important."""


class Session:
    """Serves one client until it goes; ``serve`` raises nothing but what is a bug."""

    def __init__(self, client: socket.socket, engine: Engine, credentials: Credentials) -> None:
        self._client = client
        self._engine = engine
        self._credentials = credentials
        self._reader = Reader(socket_source(client))

    def serve(self, *, handshake_timeout_s: float) -> None:
        """Talk until the client goes, sends what is no protocol, or is too slow with its handshake."""
        self._client.settimeout(handshake_timeout_s)
        try:
            database = self._handshake()
            with self._engine.connect() as connection:
                self._answer_hello(connection, database)
                self._client.settimeout(None)
                while True:
                    self._packet(connection)
        except (EOFError, OSError):
            return
        except ProtocolError as error:
            log.warning("a client was cut off: %s", error)
            self._last_words(EngineError(str(error), _UNEXPECTED_PACKET))
        except EngineError as error:
            self._last_words(error)

    def _handshake(self) -> str:
        if self._reader.varint() != _HELLO:
            raise ProtocolError("this port speaks ClickHouse's native protocol")
        text = [self._reader.text(_HANDSHAKE_TEXT)]
        _major, _minor, revision = (self._reader.varint() for _ in range(3))
        text += [self._reader.text(_HANDSHAKE_TEXT) for _ in range(3)]
        _name, database, user, password = text
        if revision < _OLDEST_REVISION:
            raise ProtocolError(
                f"clients of revision {revision} are too old; {_OLDEST_REVISION} is the oldest"
            )
        self._credentials.check(user, password)
        return database

    def _answer_hello(self, connection: Connection, database: str) -> None:
        if database:
            connection.use(database)
        major, minor, patch = (int(part) for part in self._engine.version.split(".")[:3])
        self._send(
            varint(_TO_HELLO), string("ClickHouse"), varint(major), varint(minor), varint(REVISION),
            string(self._engine.timezone), string("mcenter engine"), varint(patch),
        )  # fmt: skip

    def _packet(self, connection: Connection) -> None:
        kind = self._reader.varint()
        if kind == _PING:
            self._send(varint(_TO_PONG))
        elif kind == _QUERY:
            self._query(connection)
        elif kind != _CANCEL:  # a cancel that comes after the last block has nothing left to cancel
            raise ProtocolError(f"packet {kind} where a query was expected")

    def _query(self, connection: Connection) -> None:
        query = self._read_query()
        external = self._read_external_tables(query)
        try:
            if external:
                raise EngineError("external tables are not supported by this server", _UNSUPPORTED)  # noqa: TRY301 - answered as any error of the query
            with connection.settings(query.settings):
                self._execute(connection, query)
        except EngineError as error:
            self._exception(error)

    def _read_query(self) -> _Query:
        reader = self._reader
        reader.text()  # query id
        self._skip_client_info()
        query = _Query("", None)
        while name := reader.text():
            flags, value = reader.varint(), reader.text()
            if name in self._engine.setting_names or flags & _IMPORTANT:
                query.settings[name] = value
        reader.varint()  # stage: always complete
        if reader.varint():
            method = query.settings.get("network_compression_method", "LZ4").upper()
            query.compression = ZSTD if method == "ZSTD" else LZ4
        query.sql = reader.text()
        return query

    def _skip_client_info(self) -> None:
        reader = self._reader
        if not reader.byte():
            return
        for _ in range(3):
            reader.text()  # initial user, query id, address
        reader.byte()  # interface
        for _ in range(3):
            reader.text()  # system user, host, client
        for _ in range(3):
            reader.varint()  # version and revision
        reader.text()  # quota key
        reader.varint()  # patch version

    def _read_external_tables(self, query: _Query) -> bool:
        external = False
        while True:
            kind = self._reader.varint()
            if kind != _DATA:
                raise ProtocolError(f"packet {kind} where the end of external tables was expected")
            self._reader.text()
            if not read_block(self._reader, compressed=query.compression is not None).columns:
                return external
            external = True

    def _execute(self, connection: Connection, query: _Query) -> None:
        insert = insert_of(query.sql)
        if insert is not None and not insert.data and not insert.is_function:
            self._insert(connection, query, insert)
        elif is_describable(query.sql):
            self._stream(connection, query)
        else:
            self._run(connection, query)
        self._send(varint(_TO_END))

    def _stream(self, connection: Connection, query: _Query) -> None:
        sql, _format = without_format(query.sql)
        # A stream of no rows tells no column, so they are asked for first.
        self._data(header(connection.describe(sql)), query)
        self._profiled(connection.stream(sql), query)

    def _run(self, connection: Connection, query: _Query) -> None:
        """Answer SHOW, EXPLAIN, KILL and the like, which the engine does not stream, and DDL, which has no answer."""
        sql, _format = without_format(query.sql)
        answer = split_blocks(connection.run(sql))
        if not answer and is_read(sql):
            self._data(header(connection.columns_of(sql)), query)
        self._profiled((Chunk(block.body, block.rows) for block in answer), query)

    def _profiled(self, chunks: Iterable[Chunk], query: _Query) -> None:
        rows = blocks = size = 0
        for chunk in chunks:
            self._data(chunk.body, query)
            self._send(varint(_TO_PROGRESS), varint(chunk.rows), varint(len(chunk.body)), bytes(3))
            rows, blocks, size = rows + chunk.rows, blocks + 1, size + len(chunk.body)
            if self._cancelled():
                break
        if blocks:
            self._send(varint(_TO_PROFILE), varint(rows), varint(blocks), varint(size), bytes(3))

    def _cancelled(self) -> bool:
        if not self._reader.buffered and not select.select([self._client], [], [], 0)[0]:
            return False
        if self._reader.varint() != _CANCEL:
            raise ProtocolError("a client may send nothing but Cancel while it is answered")
        return True

    def _insert(self, connection: Connection, query: _Query, insert: Insert) -> None:
        columns = connection.describe(insert.header_query)
        self._data(header([(name, insertable(kind)) for name, kind in columns]), query)
        spool = os.memfd_create("insert")
        try:
            if self._receive_blocks(query, spool):
                connection.run(insert.from_file(f"/proc/self/fd/{spool}", "Native"))
        finally:
            os.close(spool)

    def _receive_blocks(self, query: _Query, spool: int) -> bool:
        """Whether there is something to insert: a client that cancels, or goes before its last block, inserts nothing."""
        received = False
        while True:
            kind = self._reader.varint()
            if kind == _CANCEL:
                return False
            if kind != _DATA:
                raise ProtocolError(f"packet {kind} where a block was expected")
            self._reader.text()
            block = read_block(self._reader, compressed=query.compression is not None)
            if not block.columns:
                return received
            received = received or block.rows > 0
            rest = memoryview(block.body)
            while rest:
                rest = rest[os.write(spool, rest) :]

    def _data(self, body: bytes, query: _Query) -> None:
        self._send(varint(_TO_DATA), string(""), write_block(body, query.compression))

    def _exception(self, error: EngineError) -> None:
        self._send(
            varint(_TO_EXCEPTION), struct.pack("<i", error.code), string("DB::Exception"), string(str(error)),
            string(""), b"\0",
        )  # fmt: skip

    def _last_words(self, error: EngineError) -> None:
        try:
            self._exception(error)
        except OSError:
            return

    def _send(self, *parts: bytes) -> None:
        self._client.sendall(b"".join(parts))
