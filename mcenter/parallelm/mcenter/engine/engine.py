"""The one owner of a data folder: opens chdb on it, hands out connections, and ends the process when it must.

Every error of ClickHouse comes out as ``EngineError`` with its code.
"""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

import chdb
from chdb import ChdbError

from parallelm.mcenter.engine import metrics, reader_guard
from parallelm.mcenter.engine.errors import READONLY, EngineError, StorageFailedError
from parallelm.mcenter.engine.statements import identifier, keyword, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

log = logging.getLogger(__name__)

_ERRNO = re.compile(r"errno: (\d+)|filesystem error|No space left on device")
_ERRNO_OF_A_WRONG_PATH = frozenset({errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.EISDIR})
_WRITES = frozenset({"INSERT", "WITH", "CREATE", "ALTER", "OPTIMIZE", "SYSTEM"})
_ADDRESS_SIGNS = re.compile(r"[^\w ./@+,()\-]")
_numbers = itertools.count(1)
_CONFIG_FILE = "mcenter.xml"
_CONFIG = """\
<clickhouse>
    <merge_tree>
        <!-- Sketches of all columns that each merge would make: they cost it a tenth of its time, no query of ours gains by them, and a
             reader has found the file of a part's sketches missing. -->
        <auto_statistics_types></auto_statistics_types>
    </merge_tree>
</clickhouse>
"""
STORAGE_FAILED_EXIT = 74
"""Exit status of the process after a storage failure (EX_IOERR)."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One block of a result in format Native, or a piece of one in another format."""

    body: bytes
    rows: int


def _folder_for_chdb(folder: Path) -> str:
    """How chdb's address can name the folder: it is split at the first question mark, and may be a URL."""
    if not _ADDRESS_SIGNS.search(str(folder)):
        return str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return (
        f"/proc/self/fd/{os.open(folder, os.O_RDONLY | os.O_DIRECTORY)}"  # open as long as the process lives
    )


class Connection:
    """One chdb connection: a session with its own current database and settings. For one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._chdb = engine.open_chdb()
        # What KILL finds the session's statements by: chdb gives no query id.
        self._tag = f"session {next(_numbers)}"
        self._has_own_settings = False
        self._reads_only = False
        self._changes_nothing = False
        self.run(f"SET log_comment = {literal(self._tag)}")

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
        self._has_own_settings = self._has_own_settings or keyword(sql) == "SET"
        try:
            result = self._chdb.query(sql, format_name, params=dict(parameters or {}))
        except ChdbError as error:
            raise _error_of(str(error), writes=keyword(sql) in _WRITES) from None
        return bytes(result.bytes() or b"") if result else b""

    def stream(self, sql: str) -> Iterator[Chunk]:
        """Execute a query and yield its blocks as they come; closing the iterator cancels the query.

        No other statement may run on this connection until the iterator is exhausted or closed.
        """
        try:
            with self._chdb.send_query(sql, "Native") as result:
                for chunk in result:
                    yield Chunk(bytes(chunk.bytes()), int(chunk.rows_read()))
        except ChdbError as error:
            raise EngineError(str(error)) from None

    @contextmanager
    def watched(self, on_progress: Callable[[Mapping[str, int]], None]) -> Iterator[None]:
        """Call ``on_progress`` on this thread about ten times a second while a statement inside runs."""
        self._chdb.set_progress_callback(on_progress)
        try:
            yield
        finally:
            self._chdb.set_progress_callback(None)

    def kill(self) -> None:
        """End the statement that this session is executing, from any thread or from ``on_progress``."""
        with self._engine.connect() as other:
            other.run(f"KILL QUERY WHERE Settings['log_comment'] = {literal(self._tag)} ASYNC")

    def rows(self, sql: str) -> list[list[Any]]:
        """Execute a small query of the server's own."""
        found: list[list[Any]] = json.loads(self.run(sql, "JSONCompact"))["data"]
        return found

    def describe(self, query: str) -> list[tuple[str, str]]:
        """Names and types of a query's columns."""
        return [(row[0], row[1]) for row in self.rows(f"DESCRIBE ({query}\n)")]

    def columns_of(self, sql: str) -> list[tuple[str, str]]:
        """Names and types of what a statement answers that cannot stand in DESCRIBE; executes it."""
        answer = json.loads(self.run(sql, "JSONCompact"))
        return [(column["name"], column["type"]) for column in answer["meta"]]

    def use(self, database: str) -> None:
        """Make a database the current one; Code 81 when there is none of that name."""
        self.run(f"USE {identifier(database)}")

    def read_only(self) -> None:
        """From now on nothing may be changed but this session's settings and temporary tables: code 164."""
        self.run("SET readonly = 2")
        self._reads_only = True

    def admit(self, sql: str) -> None:
        """Raise ``EngineError`` with code 164 when this session may not execute a client's statement."""
        if self._reads_only:
            reader_guard.check_statement(sql, self._engine.refused_to_readers)
        if self._changes_nothing and keyword(sql) in {"BACKUP", "RESTORE"}:
            raise EngineError(f"Cannot execute {keyword(sql)} in readonly mode", READONLY)

    @contextmanager
    def settings(self, values: Mapping[str, str]) -> Iterator[None]:
        """Settings for the statements inside; the session's own come back after."""
        values = self._allowed({name: value for name, value in values.items() if name != "log_comment"})
        if not values:
            yield
            return
        before = dict.fromkeys(values, "DEFAULT")
        if self._has_own_settings:
            names = ", ".join(map(literal, values))
            own = self.rows(f"SELECT name, value FROM system.settings WHERE changed AND name IN ({names})")  # noqa: S608 - literals
            before |= {name: literal(value) for name, value in own}
        self._set({name: literal(value) for name, value in values.items()})
        try:
            yield
        finally:
            self._set(before)

    @contextmanager
    def session_settings(self, values: Mapping[str, str]) -> Iterator[None]:
        """Settings for a session of one statement: they need not come back. Code 115 for an unknown one."""
        if values := self._allowed(values):
            self._changes_nothing = values.get("readonly", "0") != "0"
            self._set({name: literal(value) for name, value in values.items()})
        yield

    def _allowed(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """A reader's session that is asked to be ``readonly`` already is, and takes no other value."""
        if self._reads_only and values.get("readonly") in {"1", "2"}:
            return {name: value for name, value in values.items() if name != "readonly"}
        return values

    def _set(self, values: Mapping[str, str]) -> None:
        own = self._has_own_settings
        self.run("SET " + ", ".join(f"{name} = {value}" for name, value in values.items()))
        self._has_own_settings = own

    def close(self) -> None:
        """End the session."""
        self._chdb.close()


class Engine:
    """chdb on one data folder, for as long as the process lives."""

    def __init__(
        self, folder: Path, *, memory_bytes: int, mark_cache_bytes: int, config: Path | None = None
    ) -> None:
        self._folder = _folder_for_chdb(folder)
        # BACKUP and RESTORE to any folder: whoever may write here has the rights of this process on files anyhow.
        options: dict[str, int | str] = {
            "max_server_memory_usage": memory_bytes,
            "mark_cache_size": mark_cache_bytes,
            "backups.allowed_path": "/",
        }
        options["config-file"] = str(config.resolve()) if config is not None else self._own_config(folder)
        self._address = f"{self._folder}?{'&'.join(f'{name}={value}' for name, value in options.items())}"
        self._running = 0
        self._idle = threading.Condition()
        # chdb closes the engine with its last connection: this one keeps it open.
        self._keep = self.open_chdb()
        with self.connect() as connection:
            ((self.timezone, self.version),) = connection.rows("SELECT timezone(), version()")
            names = connection.rows("SELECT name FROM system.settings")
            table_functions = connection.rows("SELECT name FROM system.table_functions")
        self.setting_names = frozenset(name for (name,) in names)
        self.refused_to_readers = reader_guard.refused_functions(name for (name,) in table_functions)

    def _own_config(self, folder: Path) -> str:
        """Path of the configuration that holds where none is given."""
        file = folder / _CONFIG_FILE
        if not file.exists() or file.read_text(encoding="ascii") != _CONFIG:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(_CONFIG, encoding="ascii")
        return f"{self._folder}/{_CONFIG_FILE}"

    def open_chdb(self) -> Any:
        """A new chdb connection to this engine."""
        return chdb.connect(self._address)

    def connect(self) -> Connection:
        """A new session."""
        return Connection(self)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count a request as being answered, so that ``drain`` waits for it."""
        with self._idle:
            self._running += 1
        try:
            with metrics.REQUESTS.time():
                yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Wait until no request is being answered; whether that came to be in time."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._running, timeout_s)

    def end(self, error: StorageFailedError) -> NoReturn:
        """End the process at once; what supervises it starts it again, with the repair of its logs."""
        log.critical("the storage failed in an insert, the engine ends itself: %s", error)
        logging.shutdown()
        os._exit(STORAGE_FAILED_EXIT)


def _error_of(message: str, *, writes: bool) -> EngineError:
    failed = _ERRNO.search(message) if writes else None
    if failed is None or int(failed[1] or errno.EIO) in _ERRNO_OF_A_WRONG_PATH:
        return EngineError(message)
    return StorageFailedError(message)
