"""ClickHouse's HTTP interface, as far as clickhouse-connect, curl and BI tools need it: one session for each request."""

from __future__ import annotations

import base64
import binascii
import http.server
import logging
import mmap
import os
import re
import socket
import urllib.parse
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cramjam

from parallelm.mcenter.engine import metrics
from parallelm.mcenter.engine.clients import BoundedThreads
from parallelm.mcenter.engine.errors import (
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    TOO_LARGE,
    EngineError,
    StorageFailedError,
)
from parallelm.mcenter.engine.reader_guard import with_hint
from parallelm.mcenter.engine.statements import insert_of, is_read, keyword, without_format
from parallelm.mcenter.engine.wire import readable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.mcenter.engine.credentials import Credentials
    from parallelm.mcenter.engine.engine import Connection, Engine

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024 * 1024
IDLE_TIMEOUT_S = 60.0
_NOT_SETTINGS = frozenset(
    {
        "query", "database", "default_format", "user", "password", "session_id", "session_timeout", "session_check",
        "query_id", "wait_end_of_query", "compress", "decompress", "role", "client_protocol_version", "quota_key", "buffer_size",
    }
)  # fmt: skip
"""Parameters of the interface; every other one is a setting of the engine, or ``param_…`` of the query."""
_CONTENT_TYPES = {
    "CSV": "text/csv; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "JSON": "application/json; charset=UTF-8",
    "Native": "application/octet-stream",
}
_BLANKS_TO_DATA = re.compile(r"[ \t\f]*\r?\n?")


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    format: str
    """Name of the format, empty for a statement that gives no rows."""


class HttpServer(BoundedThreads, http.server.HTTPServer):
    """Listener of the HTTP interface."""

    protocol = "http"
    request_queue_size = 128

    def __init__(self, host: str, port: int, engine: Engine, credentials: Credentials) -> None:
        self.engine = engine
        self.credentials = credentials
        super().__init__((host, port), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_TIMEOUT_S
    disable_nagle_algorithm = True
    server: HttpServer

    def do_GET(self) -> None:
        """Answer a read-only query, or the health check."""
        with self.server.engine.answering():
            self._serve(readonly=True)

    def do_POST(self) -> None:
        """Answer any statement; the body is the statement, its end, or data to insert."""
        with self.server.engine.answering():
            self._serve(readonly=False)

    def log_message(self, *_: Any) -> None:
        """Say nothing: requests are the clients' business."""

    def _serve(self, *, readonly: bool) -> None:
        url = urllib.parse.urlsplit(self.path)
        parameters = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        if url.path in {"/ping", "/replicas_status"} or (readonly and "query" not in parameters):
            self._respond(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
            return
        try:
            # Before the body: who is not known fills no memory.
            reads_only = self.server.credentials.check(*self._user_and_password(parameters))
            body = b"" if readonly else self._body()
            try:
                answer = self._execute(parameters, body, readonly=readonly, reads_only=reads_only)
            except EngineError as error:
                raise with_hint(error) if reads_only else error from None
        except EngineError as error:
            self._refuse(error)
            if isinstance(error, StorageFailedError):
                self.server.engine.end(error)
            return
        kind = {"X-ClickHouse-Format": answer.format} if answer.format else {}
        self._respond(
            200,
            answer.body,
            kind | {"Content-Type": _CONTENT_TYPES.get(answer.format, "text/plain; charset=UTF-8")},
        )

    def _user_and_password(self, parameters: Mapping[str, str]) -> tuple[str, str]:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return "", ""
            return user, password
        if "X-ClickHouse-User" in self.headers:
            return self.headers["X-ClickHouse-User"], self.headers.get("X-ClickHouse-Key", "")
        return parameters.get("user", "default"), parameters.get("password", "")

    def _execute(
        self, parameters: Mapping[str, str], body: bytes, *, readonly: bool, reads_only: bool
    ) -> _Answer:
        database = parameters.get("database") or self.headers.get("X-ClickHouse-Database", "")
        format_name = (
            parameters.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated"
        )
        values = {
            name[len("param_") :]: value for name, value in parameters.items() if name.startswith("param_")
        }
        settings = {
            name: value
            for name, value in parameters.items()
            if name not in _NOT_SETTINGS and not name.startswith("param_")
        }
        if readonly and not reads_only:
            settings.setdefault("readonly", "2")
        with self.server.engine.connect() as connection:
            if database:
                connection.use(database)
            if reads_only:
                connection.read_only()
            with (
                connection.session_settings(settings),
                connection.watched(lambda _progress: self._look(connection)),
            ):
                return _run(connection, parameters.get("query", ""), body, format_name, values)

    def _look(self, connection: Connection) -> None:
        """End the statement of a client that is gone."""
        try:
            # Below TLS, which knows no peeking.
            gone = readable(self.connection) and not socket.socket.recv(self.connection, 1, socket.MSG_PEEK)
        except OSError:
            gone = True
        if gone:
            connection.kill()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            raw = b"".join(self._chunks())
        else:
            length = self.headers.get("Content-Length", "0")
            if not length.isdecimal():
                raise EngineError(f"Content-Length is {length!r}", BAD_ARGUMENTS)
            _check_size(int(length))
            raw = self.rfile.read(int(length))
            if len(raw) < int(length):
                raise EngineError("the request ended before its body did", BAD_ARGUMENTS)
        return _unpacked(raw, self.headers.get("Content-Encoding", "").lower())

    def _chunks(self) -> Any:
        total = 0
        while True:
            try:
                size = int(self.rfile.readline(64).split(b";")[0], 16)
            except ValueError:
                raise EngineError("a chunk of the body has no length", BAD_ARGUMENTS) from None
            total += size
            _check_size(total)
            chunk = self.rfile.read(size)
            if len(chunk) < size or self.rfile.readline(64).strip():
                raise EngineError("the request ended before its body did", BAD_ARGUMENTS)
            if not size:
                return
            yield chunk

    def _refuse(self, error: EngineError) -> None:
        metrics.ERRORS.labels(error.code).inc()
        status = 401 if error.code == AUTHENTICATION_FAILED else 500
        headers = {
            "X-ClickHouse-Exception-Code": str(error.code),
            "Content-Type": "text/plain; charset=UTF-8",
        }
        if status == 401:  # noqa: PLR2004 - HTTP's Unauthorized
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        # What is left of a body that was not read must not be taken for the next request.
        self.close_connection = True
        self._respond(status, f"{error}\n".encode(), headers | {"Connection": "close"})

    def _respond(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        engine = self.server.engine
        self.send_response(status)
        always = {
            "Content-Length": str(len(body)),
            "X-ClickHouse-Server-Display-Name": "mcenter engine",
            "X-ClickHouse-Timezone": engine.timezone,
            "X-ClickHouse-Summary": "{}",
        }
        for name, value in (always | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _run(
    connection: Connection, query: str, body: bytes, format_name: str, values: Mapping[str, str]
) -> _Answer:
    # The interface's own rule: the statement is the parameter followed by the body.
    raw = query.encode() + b"\n" + body if query and body else query.encode() or body
    connection.admit(raw.decode("utf-8", "replace"))
    if keyword(raw[:4096].decode("latin-1")) == "INSERT":
        # Latin-1 keeps every byte of the data as it is.
        insert = insert_of(raw.decode("latin-1"))
        if insert is not None and insert.format.upper() != "VALUES":
            data = _BLANKS_TO_DATA.sub("", insert.data, count=1).encode("latin-1")
            spool = os.memfd_create("insert")
            try:
                with os.fdopen(spool, "wb", closefd=False) as file:
                    file.write(data)
                connection.run(insert.in_utf8().from_file(f"/proc/self/fd/{spool}", insert.format))
            finally:
                os.close(spool)
            return _Answer(b"", "")
    sql, named_format = without_format(raw.decode("utf-8", "replace"))
    output = connection.run(sql, named_format or format_name, values)
    return _Answer(output, named_format or format_name if is_read(sql) or output else "")


def _check_size(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise EngineError(f"a body of more than {MAX_BODY_BYTES} bytes; send smaller inserts", TOO_LARGE)


def _unpacked(raw: bytes, encoding: str) -> bytes:
    try:
        if encoding in {"", "identity"}:
            return raw
        if encoding in {"gzip", "deflate"}:
            return _inflated(raw)
        if encoding in {"lz4", "zstd"}:
            # Memory of a map that is not written to costs nothing.
            with mmap.mmap(-1, MAX_BODY_BYTES) as output:
                return output[: getattr(cramjam, encoding).decompress_into(raw, output)]
    except (zlib.error, cramjam.DecompressionError) as error:
        raise EngineError(f"the body cannot be unpacked as {encoding}: {error}", BAD_ARGUMENTS) from error
    raise EngineError(f"Content-Encoding {encoding!r} is not supported", BAD_ARGUMENTS)


def _inflated(raw: bytes) -> bytes:
    """Plain bytes of one or more gzip or zlib members."""
    parts: list[bytes] = []
    size = 0
    while raw:
        unpacker = zlib.decompressobj(47)
        parts.append(unpacker.decompress(raw, MAX_BODY_BYTES - size + 1))
        size += len(parts[-1])
        _check_size(size)
        if not unpacker.eof:
            raise EngineError("the packed body ends before its end", BAD_ARGUMENTS)
        raw = unpacker.unused_data
    return b"".join(parts)
