"""One TCP client's conversation in ClickHouse's native protocol: handshake, queries, inserts, pings, cancel."""

from __future__ import annotations

import logging
import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.mcenter.engine import metrics
from parallelm.mcenter.engine.blocks import LZ4, ZSTD, copy_block, header, split_blocks, write_block
from parallelm.mcenter.engine.engine import Chunk
from parallelm.mcenter.engine.errors import (
    TOO_LARGE,
    UNEXPECTED_PACKET,
    UNSUPPORTED,
    EngineError,
    StorageFailedError,
)
from parallelm.mcenter.engine.reader_guard import with_hint
from parallelm.mcenter.engine.statements import identifier, insert_of, is_describable, is_read, without_format
from parallelm.mcenter.engine.types import insertable
from parallelm.mcenter.engine.watch import CANCEL, Watch
from parallelm.mcenter.engine.wire import ProtocolError, Reader, socket_source, string, varint

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from parallelm.mcenter.engine.credentials import Credentials
    from parallelm.mcenter.engine.engine import Connection, Engine
    from parallelm.mcenter.engine.statements import Insert

log = logging.getLogger(__name__)

REVISION = 54440
"""Below 54441 the protocol has no inter-server secret, no OpenTelemetry context, no sparse columns, no addendum."""
_OLDEST_REVISION = 54429
"""From here on settings travel as strings."""
_HANDSHAKE_TEXT = 4096
MAX_INSERT_BYTES = 4 << 30

_HELLO, _QUERY, _DATA, _CANCEL, _PING, _TABLES_STATUS, _SCALAR = 0, 1, 2, CANCEL, 4, 5, 7
_TO_HELLO, _TO_DATA, _TO_EXCEPTION, _TO_PROGRESS, _TO_PONG, _TO_END, _TO_PROFILE = range(7)
_TO_TABLES_STATUS = 9
_IMPORTANT = 1
_OVER_TCP = 1
_FIRST_DATABASE = "default"
"""Where every session begins; USE asks for rights on it, which a server does not ask for here."""
_COMPLETE = 2
_NOT_SETTABLE = frozenset({"run_query_in_background"})
"""Sent by servers that ask for a client, and refused by ``SET``."""
_JSON_AS_TEXT = "SET output_format_native_write_json_as_string = 1"
"""Clients of this revision know JSON as text only."""


@dataclass(slots=True)
class _Query:
    """A query as the client sent it."""

    sql: str = ""
    compression: int | None = None
    is_whole: bool = True
    """Whether the answer is asked for as it is; else as a part, for a server that puts those of several shards together."""
    settings: dict[str, str] = field(default_factory=dict)
    """Without those that this engine does not know, unless the client flagged them as important."""


class Session:
    """Serves one client until it goes; ``serve`` raises nothing but ``StorageFailedError`` and what is a bug."""

    def __init__(self, client: socket.socket, engine: Engine, credentials: Credentials) -> None:
        self._client = client
        self._engine = engine
        self._credentials = credentials
        self._reads_only = False
        self._reader = Reader(socket_source(client))

    def serve(self, *, handshake_timeout_s: float) -> None:
        """Talk until the client goes, breaks the protocol, or is too slow with its handshake."""
        try:
            database = self._handshake(handshake_timeout_s)
            with self._engine.connect() as connection:
                self._answer_hello(connection, database)
                while True:
                    self._packet(connection)
        except (EOFError, OSError):
            return
        except ProtocolError as error:
            log.warning("a client was cut off: %s", error)
            self._last_words(EngineError(str(error), UNEXPECTED_PACKET))
        except StorageFailedError as error:
            self._last_words(error)
            raise
        except EngineError as error:
            self._last_words(error)

    def _handshake(self, timeout_s: float) -> str:
        self._reader.deadline_in(timeout_s)
        self._client.settimeout(timeout_s)
        if self._reader.varint() != _HELLO:
            raise ProtocolError("this port speaks ClickHouse's native protocol")
        self._reader.text(_HANDSHAKE_TEXT)  # client's name
        _major, _minor, revision = (self._reader.varint() for _ in range(3))
        database, user, password = (self._reader.text(_HANDSHAKE_TEXT) for _ in range(3))
        if revision < _OLDEST_REVISION:
            raise ProtocolError(
                f"clients of revision {revision} are too old; {_OLDEST_REVISION} is the oldest"
            )
        self._reads_only = self._credentials.check(user, password)
        self._reader.deadline_in(None)
        self._client.settimeout(None)
        return database

    def _answer_hello(self, connection: Connection, database: str) -> None:
        connection.run(_JSON_AS_TEXT)
        if database not in {"", _FIRST_DATABASE}:
            connection.use(database)
        if self._reads_only:
            connection.read_only()
        major, minor, patch = (int(part) for part in self._engine.version.split(".")[:3])
        self._send(
            varint(_TO_HELLO), string("ClickHouse"), varint(major), varint(minor), varint(REVISION),
            string(self._engine.timezone), string("mcenter engine"), varint(patch),
        )  # fmt: skip

    def _packet(self, connection: Connection) -> None:
        kind = self._reader.varint()
        if kind == _PING:
            self._send(varint(_TO_PONG))
        elif kind == _TABLES_STATUS:
            self._tables_status(connection)
        elif kind == _QUERY:
            with self._engine.answering():
                self._query(connection)
        elif kind != _CANCEL:  # a cancel that comes after the last block has nothing left to cancel
            raise ProtocolError(f"packet {kind} where a query was expected")

    def _tables_status(self, connection: Connection) -> None:
        """What a server asks before it reads a Distributed table from here: which tables there are; none is replicated."""
        asked = [(self._reader.text(), self._reader.text()) for _ in range(self._reader.varint())]
        there = [
            each for each in asked if connection.rows(f"EXISTS {'.'.join(map(identifier, each))}") == [[1]]
        ]
        found = b"".join(string(database) + string(table) + varint(0) for database, table in there)
        self._send(varint(_TO_TABLES_STATUS), varint(len(there)), found)

    def _query(self, connection: Connection) -> None:
        query = self._read_query()
        external = self._read_external_tables(query)
        try:
            if external or not query.is_whole:
                what = "external tables are" if external else "a Distributed table of several shards is"
                raise EngineError(f"{what} not supported by this server", UNSUPPORTED)  # noqa: TRY301 - answered as any error of the query
            with self._with_settings(connection, query) as chosen:
                chosen.admit(query.sql)
                self._execute(chosen, query)
            self._send(varint(_TO_END))
        except StorageFailedError:
            raise
        except EngineError as error:
            self._exception(with_hint(error) if self._reads_only else error)

    @contextmanager
    def _with_settings(self, connection: Connection, query: _Query) -> Iterator[Connection]:
        """The connection with the query's settings; a separate one for ``readonly``, which no session can undo."""
        if self._reads_only or query.settings.get("readonly", "0") == "0":
            with connection.settings(query.settings):
                yield connection
            return
        ((database,),) = connection.rows("SELECT currentDatabase()")
        with self._engine.connect() as own:
            own.run(_JSON_AS_TEXT)
            own.use(database)
            with own.session_settings(query.settings):
                yield own

    def _read_query(self) -> _Query:
        reader = self._reader
        reader.text()  # query id
        self._skip_client_info()
        query = _Query()
        while name := reader.text():
            flags, value = reader.varint(), reader.text()
            if name in _NOT_SETTABLE:
                continue
            if name in self._engine.setting_names or flags & _IMPORTANT:
                query.settings[name] = value
        query.is_whole = reader.varint() == _COMPLETE
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
        is_client = reader.byte() == _OVER_TCP  # else a server that asks for one
        if is_client:
            for _ in range(3):
                reader.text()  # system user, host, client
            for _ in range(3):
                reader.varint()  # version and revision
        reader.text()  # quota key
        if is_client:
            reader.varint()  # patch version

    def _read_external_tables(self, query: _Query) -> bool:
        external = False
        while True:
            kind = self._reader.varint()
            if (
                kind == _SCALAR
            ):  # of a server that reads a Distributed table from here: the query has it as well
                self._reader.text()
                copy_block(self._reader, _ignore, compressed=query.compression is not None)
                continue
            if kind != _DATA:
                raise ProtocolError(f"packet {kind} where the end of external tables was expected")
            self._reader.text()
            columns, _ = copy_block(self._reader, _ignore, compressed=query.compression is not None)
            if not columns:
                return external
            external = True

    def _execute(self, connection: Connection, query: _Query) -> None:
        insert = insert_of(query.sql)
        if insert is not None and not insert.data:
            self._insert(connection, query, insert)
            return
        watch = Watch(self._client, self._reader, connection)
        totals = _Totals()
        try:
            with connection.watched(lambda progress: self._on_progress(progress, totals, watch)):
                self._answer(connection, query, totals, watch)
        except EngineError:
            if not watch.ended:
                raise
        watch.settle()
        if totals.blocks:
            self._send(totals.rest_of_progress(), totals.profile())

    def _on_progress(self, progress: Mapping[str, int], totals: _Totals, watch: Watch) -> None:
        """Called by the engine, on this thread: an exception would be lost here."""
        watch.look()
        try:
            self._send(totals.progress(progress))
        except OSError as error:
            watch.fail(error)

    def _answer(self, connection: Connection, query: _Query, totals: _Totals, watch: Watch) -> None:
        for chunk in self._chunks(connection, query, watch):
            self._data(chunk.body, query)
            totals.add(chunk)
            watch.look()
            if watch.ended:
                return

    def _chunks(self, connection: Connection, query: _Query, watch: Watch) -> Iterator[Chunk]:
        sql, _format = without_format(query.sql)
        if is_describable(sql):
            # A stream without rows does not name its columns, so they are asked for first.
            self._data(header(connection.describe(sql)), query)
            # A client that cancelled or went by now has ended the question only, not what is still to come.
            watch.look()
            if not watch.ended:
                yield from connection.stream(sql)
            return
        # SHOW, EXPLAIN, KILL and the like, which the engine does not stream, and DDL, which has no answer.
        blocks = split_blocks(connection.run(sql))
        if is_read(sql):
            # Clients take the columns from a first block without rows.
            self._data(header(connection.columns_of(sql)), query)
        yield from (Chunk(block.body, block.rows) for block in blocks)

    def _insert(self, connection: Connection, query: _Query, insert: Insert) -> None:
        columns = connection.describe(insert.header_query)
        self._data(header([(name, insertable(kind)) for name, kind in columns]), query)
        spool = os.memfd_create("insert")
        try:
            if rows := self._receive_blocks(query, spool):
                connection.run(insert.from_file(f"/proc/self/fd/{spool}", "Native"))
                metrics.INSERTED_ROWS.inc(rows)
        finally:
            os.close(spool)

    def _receive_blocks(self, query: _Query, spool: int) -> int:
        """Number of rows to insert: none when the client cancels or goes before its last block."""
        size, rows = 0, 0

        def write(data: bytes | memoryview) -> None:
            nonlocal size
            size += len(data)
            if size <= MAX_INSERT_BYTES:
                _write_all(spool, data)

        while True:
            kind = self._reader.varint()
            if kind == _CANCEL:
                return 0
            if kind != _DATA:
                raise ProtocolError(f"packet {kind} where a block was expected")
            self._reader.text()
            columns, more = copy_block(self._reader, write, compressed=query.compression is not None)
            if not columns:
                break
            rows += more
        if size > MAX_INSERT_BYTES:
            raise EngineError(
                f"an insert of {size} bytes where at most {MAX_INSERT_BYTES} are allowed", TOO_LARGE
            )
        return rows

    def _data(self, body: bytes, query: _Query) -> None:
        self._send(varint(_TO_DATA), string(""), write_block(body, query.compression))

    def _exception(self, error: EngineError) -> None:
        metrics.ERRORS.labels(error.code).inc()
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


@dataclass(slots=True)
class _Totals:
    """What was sent of an answer, and how much of the engine's progress was reported."""

    rows: int = 0
    blocks: int = 0
    size: int = 0
    reported: dict[str, int] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Count a block."""
        self.rows, self.blocks, self.size = (
            self.rows + chunk.rows,
            self.blocks + 1,
            self.size + len(chunk.body),
        )

    def progress(self, now: Mapping[str, int]) -> bytes:
        """Progress packet of what is new since the last one."""
        names = ("read_rows", "read_bytes", "total_rows_to_read", "written_rows", "written_bytes")
        steps = [max(0, now.get(name, 0) - self.reported.get(name, 0)) for name in names]
        self.reported = {
            name: self.reported.get(name, 0) + step for name, step in zip(names, steps, strict=True)
        }
        return varint(_TO_PROGRESS) + b"".join(varint(step) for step in steps)

    def rest_of_progress(self) -> bytes:
        """Progress packet that brings a short statement, for which the engine reported nothing, to the rows that it gave."""
        return b"" if self.reported else self.progress({"read_rows": self.rows, "read_bytes": self.size})

    def profile(self) -> bytes:
        """ProfileInfo packet: rows, blocks, bytes; no limit was applied that is known of."""
        return b"".join(
            (varint(_TO_PROFILE), varint(self.rows), varint(self.blocks), varint(self.size), bytes(3))
        )


def _ignore(_data: bytes | memoryview) -> None:
    """What is not to be inserted."""


def _write_all(file: int, body: bytes | memoryview) -> None:
    rest = memoryview(body)
    while rest:
        rest = rest[os.write(file, rest) :]
