"""Links that let somebody choose a password, once and within hours: the first administrator, new accounts, and who forgot theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import delete

from parallelm.server.access.matrix import ADMIN
from parallelm.server.access.principal import EVERY_MLAPP
from parallelm.server.accounts import people, roles, sessions
from parallelm.server.accounts.database import INSTALLATION_ID
from parallelm.server.accounts.secret_texts import digest, new_secret
from parallelm.server.accounts.tables import PERSON, Account, Installation, OneTimeLink
from parallelm.server.errors import AccountError, LinkError

if TYPE_CHECKING:
    from sqlalchemy import CursorResult
    from sqlalchemy.orm import Session

HOURS: Final = 24
PATH: Final = "/choose-password"
_OVER: Final = (
    "this link is used up, expired or incomplete; an administrator makes another one (Users), and so does "
    "`mcenter server reset-link USER` on the server's machine"
)


def first_administrator(sql: Session, now_ms: int) -> str | None:
    """The secret of a link that makes the first administrator; None when there is one."""
    if roles.administrators(sql):
        sql.execute(delete(OneTimeLink).where(OneTimeLink.account_id.is_(None)))
        return None
    return _new(sql, None, now_ms)


def of_account(sql: Session, account: Account, now_ms: int) -> str:
    """The secret of a link for an account; an earlier one ends. Raises ``AccountError`` for a service account."""
    if account.kind != PERSON:
        raise AccountError(f"{account.name} is a service account: it has tokens and no password")
    sql.execute(delete(OneTimeLink).where(OneTimeLink.account_id == account.id))
    return _new(sql, account.id, now_ms)


def look(sql: Session, secret: str, now_ms: int) -> Account | None:
    """Whose link it is, without using it; None: the first administrator's. Raises ``LinkError``."""
    found = sql.get(OneTimeLink, digest(secret))
    if found is None or found.expires_ms <= now_ms:
        raise LinkError(_OVER)
    if found.account_id is None:
        if roles.administrators(sql):
            raise LinkError(_OVER)
        return None
    return _enabled(sql.get_one(Account, found.account_id))


def use(sql: Session, secret: str, name: str, password: str, now_ms: int) -> Account:
    """Choose the password, and the name where the first administrator is made. Raises ``LinkError`` and ``AccountError``.

    The account's other sessions end: whoever knew the old password is out.
    """
    # Of two processes that make a first administrator at once, one waits here for the other.
    sql.get(Installation, INSTALLATION_ID, with_for_update=True)
    account = look(sql, secret, now_ms)
    if account is None:
        account = people.create(sql, name, now_ms, password=password, grants=[(ADMIN, EVERY_MLAPP)])
    else:
        people.set_password(account, password, now_ms)
        sessions.end_all(sql, account.id)
    used = sql.execute(delete(OneTimeLink).where(OneTimeLink.digest == digest(secret)))
    if cast("CursorResult[Any]", used).rowcount != 1:
        raise LinkError(_OVER)
    return account


def _new(sql: Session, account_id: int | None, now_ms: int) -> str:
    sql.execute(delete(OneTimeLink).where(OneTimeLink.expires_ms <= now_ms))
    secret = new_secret()
    sql.add(OneTimeLink(digest=digest(secret), account_id=account_id, expires_ms=now_ms + HOURS * 3_600_000))
    return secret


def _enabled(account: Account) -> Account:
    if account.disabled_ms is not None:
        raise LinkError(f"the account {account.name} is disabled; an administrator enables it (Users)")
    return account
