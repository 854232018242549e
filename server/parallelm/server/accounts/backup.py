"""Accounts in a backup: all that is not of the moment, as JSON, so that SQLite and PostgreSQL restore each other's.

Sessions, links and failed attempts are left out: after a restore everybody signs in anew.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, func, insert, select, text

from parallelm.server.accounts import tables
from parallelm.server.errors import AccountError

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Table
    from sqlalchemy.orm import Session

    from parallelm.server.accounts.database import Database

FILE: Final = "accounts.json"
_SAVED: Final = (
    tables.Installation, tables.Account, tables.Group, tables.Membership, tables.Grant, tables.Token, tables.AuditRecord,
)  # fmt: skip
"""In an order in which each row finds those that it names."""


def save(database: Database, folder: Path) -> int:
    """Write ``accounts.json``, for its owner only; returns how many accounts are in it."""
    with database.reading() as sql:
        rows = {
            table.name: [dict(row) for row in sql.execute(select(table)).mappings()] for table in _tables()
        }
    opened = os.open(folder / FILE, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "w", encoding="utf-8") as out:
        json.dump(rows, out, indent=1)
    return len(rows[tables.Account.__tablename__])


def require_empty(database: Database) -> None:
    """Raise ``AccountError`` where there are accounts already."""
    with database.reading() as sql:
        if count := sql.scalar(select(func.count()).select_from(tables.Account)):
            raise AccountError(
                f"{database} has {count} accounts; restore into an empty one: [server] database_url"
            )


def load(database: Database, folder: Path) -> int:
    """Restore ``accounts.json`` into an empty database; returns how many accounts were in it. Raises ``AccountError``."""
    require_empty(database)
    try:
        rows: dict[str, list[dict[str, Any]]] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        with database.writing() as sql:
            for table in reversed(_tables()):
                sql.execute(table.delete())
            for table in _tables():
                if rows[table.name]:
                    sql.execute(insert(table), rows[table.name])
            _go_on_counting(sql)
    except (OSError, ValueError, KeyError) as error:
        raise AccountError(f"{folder / FILE} cannot be restored: {error}") from error
    return len(rows[tables.Account.__tablename__])


def _tables() -> list[Table]:
    found = tables.Base.metadata.tables
    return [found[each.__tablename__] for each in _SAVED]


def _go_on_counting(sql: Session) -> None:
    """PostgreSQL gives new rows the numbers after those that were restored."""
    if sql.get_bind().dialect.name != "postgresql":
        return
    for table in _tables():
        if "id" in table.c and isinstance(table.c.id.type, Integer):
            highest = f"SELECT coalesce(max(id), 1) FROM {table.name}"  # noqa: S608 - a name of ours
            sql.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), ({highest}))"))
