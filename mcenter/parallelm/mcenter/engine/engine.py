"""The one owner of a data folder: opens chdb on it, hands out connections, and ends the process when it must.

Every error of ClickHouse comes out as ``EngineError`` with its code.
"""

from __future__ import annotations

import json
import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import chdb
from chdb import ChdbError

from parallelm.mcenter.engine.statements import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

log = logging.getLogger(__name__)

_CODE = re.compile(r"Code: (\d+)\.")
UNKNOWN_EXCEPTION = 1002


class EngineError(Exception):
    """ClickHouse refused a statement: its ``code`` and its message, which names the code too."""

    def __init__(self, message: str, code: int | None = None) -> None:
        found = _CODE.search(message)
        if code is None:
            code = int(found[1]) if found else UNKNOWN_EXCEPTION
            message = message[found.start() :] if found else f"Code: {code}. DB::Exception: {message}"
        else:
            message = f"Code: {code}. DB::Exception: {message}"
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Chunk:
    """One block of a result in format Native, or a piece of one in another format."""

    body: bytes
    rows: int


class Connection:
    """One chdb connection: a session with its own current database and settings. For one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._chdb = engine.open_chdb()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self, sql: str, format_name: str = "Native", parameters: Mapping[str, str] | None = None
    ) -> bytes:
        """Execute a statement to its end and return all of its output."""
        try:
            result = self._chdb.query(sql, format_name, params=dict(parameters or {}))
        except ChdbError as error:
            raise EngineError(str(error)) from None
        return bytes(result.bytes() or b"") if result else b""

    def stream(self, sql: str, format_name: str = "Native") -> Iterator[Chunk]:
        """Execute a statement and yield its output as it comes; closing the iterator cancels the statement."""
        try:
            with self._chdb.send_query(sql, format_name) as result:
                for chunk in result:
                    yield Chunk(bytes(chunk.bytes()), int(chunk.rows_read()))
        except ChdbError as error:
            raise EngineError(str(error)) from None

    def rows(self, sql: str) -> list[list[Any]]:
        """Execute a small query of the server's own."""
        found: list[list[Any]] = json.loads(self.run(sql, "JSONCompact"))["data"]
        return found

    def describe(self, query: str) -> list[tuple[str, str]]:
        """Names and types of a query's columns."""
        return [(row[0], row[1]) for row in self.rows(f"DESCRIBE ({query}\n)")]

    def columns_of(self, sql: str) -> list[tuple[str, str]]:
        """Names and types of what a statement answers, when it cannot stand in DESCRIBE: executes it."""
        answer = json.loads(self.run(sql, "JSONCompact"))
        return [(column["name"], column["type"]) for column in answer["meta"]]

    def use(self, database: str) -> None:
        """Make a database the current one; Code 81 when there is none of that name."""
        self.run(f"USE {identifier(database)}")

    @contextmanager
    def settings(self, values: Mapping[str, str]) -> Iterator[None]:
        """Settings for the statements inside; the session's own come back after."""
        if not values:
            yield
            return
        self.run("SET " + ", ".join(f"{name} = {literal(value)}" for name, value in values.items()))
        try:
            yield
        finally:
            self.run("SET " + ", ".join(f"{name} = DEFAULT" for name in values))

    def close(self) -> None:
        """End the session."""
        self._chdb.close()


class Engine:
    """chdb on one data folder, for as long as the process lives."""

    def __init__(self, folder: Path, *, memory_bytes: int, mark_cache_bytes: int) -> None:
        self._address = f"{folder}?max_server_memory_usage={memory_bytes}&mark_cache_size={mark_cache_bytes}"
        # chdb closes the engine with its last connection: this one keeps it open.
        self._keep = self.open_chdb()
        with Connection(self) as connection:
            ((self.timezone, self.version),) = connection.rows("SELECT timezone(), version()")
            self.setting_names = frozenset(
                name for (name,) in connection.rows("SELECT name FROM system.settings")
            )

    def open_chdb(self) -> Any:
        """A new chdb connection to this engine."""
        return chdb.connect(self._address)

    def connect(self) -> Connection:
        """A new session."""
        return Connection(self)
