"""What processes of one server set aside of somebody's requests in a minute: each takes a few at a time, not one a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from parallelm.server.accounts.tables import RequestAllowance

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from parallelm.server.accounts.database import Database


def set_aside(database: Database, who: str, window: int, wanted: int, limit: int) -> tuple[int, int]:
    """``(granted, taken by all)``: so many of ``wanted`` as the limit leaves, and what it has given out now."""
    try:
        with database.writing() as sql:
            return _set_aside(sql, who, window, wanted, limit)
    except IntegrityError:  # another process was the first of this minute just now
        with database.writing() as sql:
            return _set_aside(sql, who, window, wanted, limit)


def _set_aside(sql: Session, who: str, window: int, wanted: int, limit: int) -> tuple[int, int]:
    found = sql.scalar(
        select(RequestAllowance)
        .where(RequestAllowance.who == who, RequestAllowance.window == window)
        .with_for_update()
    )
    if found is None:
        sql.execute(delete(RequestAllowance).where(RequestAllowance.window < window))
        found = RequestAllowance(who=who, window=window, taken=0)
        sql.add(found)
    granted = max(0, min(wanted, limit - found.taken))
    found.taken += granted
    sql.flush()
    return granted, found.taken
