"""The SQL database of accounts, sessions and tokens: SQLite on one host, or PostgreSQL by URL for several."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from parallelm.connections.search import LOCAL_STACK_FOLDER
from parallelm.server.accounts.secret_texts import new_secret
from parallelm.server.accounts.tables import Installation
from parallelm.server.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine

SQLITE_FILE: Final = "server.db"
INSTALLATION_ID: Final = "id"
_URL: Final = "url"
_BUSY_MS: Final = 15_000
"""What a process waits for another one that writes to the same SQLite file."""
_RETRY_S: Final = 0.02
_MIGRATION_LOCK: Final = 0x6D63_656E_7465_7200
_WRITES: Final = "mcenter_writes"


class Database:
    """An engine with its tables as this version wants them. ``close`` when it is no longer needed."""

    def __init__(self, url: str) -> None:
        """Connect and migrate; raises ``DatabaseError`` that names the database without its password."""
        self.url = _url(url)
        self._engine = _engine(self.url)
        try:
            migrate(self._engine)
            self.installation_id = self._installation_id()
        except (SQLAlchemyError, CommandError, OSError) as error:
            self.close()
            reason = str(error).splitlines()[0]
            raise DatabaseError(f"{self}: {reason}; see [server] database_url") from error
        self._writing = self._engine.execution_options(**{_WRITES: True})

    def __str__(self) -> str:
        return f"the SQL database {self.url.render_as_string(hide_password=True)}"

    @property
    def file(self) -> Path | None:
        """Of SQLite."""
        return (
            Path(self.url.database) if self.url.get_backend_name() == "sqlite" and self.url.database else None
        )

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that changes nothing."""
        with Session(self._engine) as sql:
            yield sql

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is committed unless an error leaves it."""
        writing = self._engine.execution_options(**{_WRITES: True})
        with Session(writing, expire_on_commit=False) as sql, sql.begin():
            yield sql

    def remember_url(self, url: str) -> None:
        """Where a server of this installation was reached last, for commands that make links."""
        with self.writing() as sql:
            sql.merge(Installation(name=_URL, value=url[:200]))

    def remembered_url(self) -> str:
        """Empty when no server has run yet."""
        with self.reading() as sql:
            found = sql.get(Installation, _URL)
            return found.value if found else ""

    def _installation_id(self) -> str:
        try:
            with self.writing() as sql:
                found = sql.get(Installation, INSTALLATION_ID)
                if found is None:
                    found = Installation(name=INSTALLATION_ID, value=new_secret()[:12])
                    sql.add(found)
                return found.value
        except IntegrityError:  # another process that starts was faster
            with self.reading() as sql:
                return sql.get_one(Installation, INSTALLATION_ID).value

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()


def migrate(engine: Engine) -> None:
    """Apply the migrations that are missing; of several processes that start at once, one after the other."""
    config = Config()
    folder = resources.files("parallelm.server.accounts") / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        config.attributes["connection"] = connection
        _refuse_newer(ScriptDirectory.from_config(config), connection)
        command.upgrade(config, "head")


def _refuse_newer(known: ScriptDirectory, connection: Connection) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {each.revision for each in known.walk_revisions()}:
        raise CommandError(
            f"it has migration {found[:40]!r}, this code ends at {known.get_current_head()}: it was migrated by a newer "
            "version of mcenter-stream; upgrade this installation"
        )


def is_there(url: str) -> bool:
    """Whether there is such a database already; of PostgreSQL it is taken for granted."""
    made = _url(url)
    return made.get_backend_name() != "sqlite" or Path(made.database or "").exists()


def _url(text: str) -> URL:
    if not text:
        return make_url(f"sqlite:///{(Path.cwd() / LOCAL_STACK_FOLDER / SQLITE_FILE)}")
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise DatabaseError(
            "[server] database_url is no URL of SQLAlchemy's, such as postgresql://user:password@host/database"
        ) from error
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in {"postgresql", "sqlite"}:
        raise DatabaseError(
            f"[server] database_url names {url.drivername!r}; it must be postgresql or sqlite"
        )
    return url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise DatabaseError("[server] database_url names no file: sqlite:////folder/server.db")
        _make_private(Path(url.database))
        engine = sqlalchemy.create_engine(url, pool_size=10, max_overflow=40)
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
        return engine
    try:
        return sqlalchemy.create_engine(
            url, pool_size=10, max_overflow=40, pool_pre_ping=True, connect_args={"connect_timeout": 10}
        )
    except (ImportError, NoSuchModuleError) as error:
        raise DatabaseError("PostgreSQL needs: pip install 'mcenter-stream[postgresql]'") from error


def _make_private(file: Path) -> None:
    """A file that nobody else reads: the journals that SQLite makes beside it get its rights."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise DatabaseError(f"the SQL database {file} cannot be written: {error.strerror}") from error


def _on_sqlite_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # BEGIN comes from _on_sqlite_begin
    for pragma in (f"busy_timeout = {_BUSY_MS}", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    _use_write_ahead_log(connection)


def _use_write_ahead_log(connection: Any) -> None:
    # SQLite does not wait here as it does elsewhere: two processes that open a new file at once would refuse each other.
    deadline = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _on_sqlite_begin(connection: Connection) -> None:
    # A transaction that begins to write only after it has read fails at once when another process has written meanwhile.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
