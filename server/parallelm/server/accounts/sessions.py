"""Sessions of browsers: begun at sign-in under a new secret each time, over after some time unused and at the latest after days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import joinedload

from parallelm.server.accounts.secret_texts import derived, digest, new_secret
from parallelm.server.accounts.tables import Account, BrowserSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from parallelm.server.accounts.database import Database

USED_STEP_MS: Final = 60_000
"""How exactly it is known when a session or a token was used last: a write for each request would cost more than it tells."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long sessions last."""

    idle_ms: int = 12 * 3_600_000
    longest_ms: int = 7 * 24 * 3_600_000


def begin(
    sql: Session,
    account: Account,
    authenticated_by: str,
    now_ms: int,
    lifetimes: Lifetimes,
    *,
    address: str = "",
    browser: str = "",
    prefix: str = "",
) -> str:
    """Begin a session; returns its secret, which nobody can find out later. ``prefix`` is what it begins with."""
    secret = prefix + new_secret()
    sql.add(
        BrowserSession(
            digest=digest(secret),
            account_id=account.id,
            authenticated_by=authenticated_by,
            created_ms=now_ms,
            used_ms=now_ms,
            expires_ms=now_ms + lifetimes.longest_ms,
            address=address[:100],
            browser=browser[:200],
        )
    )
    account.last_sign_in_ms = now_ms
    sql.execute(delete(BrowserSession).where(BrowserSession.expires_ms < now_ms))
    return secret


def find(sql: Session, secret: str, now_ms: int, lifetimes: Lifetimes) -> BrowserSession | None:
    """The session of a secret with its account, unless it is over or the account is disabled."""
    found = sql.scalar(
        select(BrowserSession)
        .where(BrowserSession.digest == digest(secret))
        .options(joinedload(BrowserSession.account))
    )
    if found is None or not is_live(found, now_ms, lifetimes) or found.account.disabled_ms is not None:
        return None
    return found


def is_live(session: BrowserSession, now_ms: int, lifetimes: Lifetimes) -> bool:
    """Whether it still counts."""
    return now_ms < min(session.expires_ms, session.used_ms + lifetimes.idle_ms)


def note_use(database: Database, session: BrowserSession, now_ms: int) -> None:
    """Remember that it was used just now, once a minute."""
    if now_ms - session.used_ms < USED_STEP_MS:
        return
    with database.writing() as sql:
        sql.execute(
            update(BrowserSession).where(BrowserSession.digest == session.digest).values(used_ms=now_ms)
        )


def of_account(sql: Session, account_id: int, now_ms: int, lifetimes: Lifetimes) -> Sequence[BrowserSession]:
    """Its live sessions, the one used last first."""
    return [row for row in all_of(sql, account_id) if is_live(row, now_ms, lifetimes)]


def all_of(sql: Session, account_id: int) -> Sequence[BrowserSession]:
    """Its sessions, also those that are over."""
    return sql.scalars(
        select(BrowserSession)
        .where(BrowserSession.account_id == account_id)
        .order_by(BrowserSession.used_ms.desc(), BrowserSession.created_ms.desc())
    ).all()


def end(sql: Session, session_digest: str) -> None:
    """End one session; nothing when it is over."""
    sql.execute(delete(BrowserSession).where(BrowserSession.digest == session_digest))


def end_all(sql: Session, account_id: int, *, but: str = "") -> None:
    """End the sessions of an account everywhere, but for that of digest ``but``."""
    sql.execute(
        delete(BrowserSession).where(BrowserSession.account_id == account_id, BrowserSession.digest != but)
    )


def csrf_token(secret: str) -> str:
    """What a page of this session sends with everything that changes something."""
    return derived(secret, "csrf")
