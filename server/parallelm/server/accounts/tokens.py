"""Tokens of programs: shown once, kept as a digest, limited in time and, where wanted, to some actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from parallelm.server.access.matrix import ROLES_OF
from parallelm.server.accounts.secret_texts import digest, new_secret
from parallelm.server.accounts.sessions import USED_STEP_MS
from parallelm.server.accounts.tables import Account, Token
from parallelm.server.errors import AccountError, UnknownAccountError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

    from parallelm.server.accounts.database import Database

PREFIX: Final = "mcs_"
"""By which scanners for secrets find one in a repository."""
LONGEST_DAYS: Final = 366
USUAL_DAYS: Final = 90
_MOST: Final = 100
_DAY_MS: Final = 24 * 3_600_000
_HINT: Final = 10


def create(
    sql: Session, account: Account, name: str, scopes: Iterable[str] | None, days: int, now_ms: int
) -> tuple[Token, str]:
    """A new token and its secret, which nobody can find out later. Raises ``AccountError``."""
    name = name.strip()
    if not 0 < len(name) <= 100 or not name.isprintable():  # noqa: PLR2004 - the column's
        raise AccountError(
            "a token needs a name of 1 to 100 characters that can be shown, which says what uses it"
        )
    if not 0 < days <= LONGEST_DAYS:
        raise AccountError(f"a token is valid for 1 to {LONGEST_DAYS} days, not for {days}")
    wanted = None if scopes is None else sorted(set(scopes))
    if wanted is not None and (unknown := [scope for scope in wanted if scope not in ROLES_OF]):
        raise AccountError(f"there is no scope {unknown[0]!r}; there are: {', '.join(ROLES_OF)}")
    if len([each for each in of_account(sql, account.id) if each.revoked_ms is None]) >= _MOST:
        raise AccountError(f"{account.name} has {_MOST} tokens; revoke those that nothing uses")
    secret = PREFIX + new_secret()
    made = Token(
        account_id=account.id,
        digest=digest(secret),
        name=name,
        hint=secret[:_HINT],
        scopes=wanted,
        created_ms=now_ms,
        expires_ms=now_ms + days * _DAY_MS,
    )
    sql.add(made)
    sql.flush()
    return made, secret


def find(sql: Session, secret: str, now_ms: int) -> Token | None:
    """The token with its account, unless it is revoked or expired, or the account is disabled."""
    found = sql.scalar(select(Token).where(Token.digest == digest(secret)).options(joinedload(Token.account)))
    if found is None or not is_valid(found, now_ms) or found.account.disabled_ms is not None:
        return None
    return found


def is_valid(token: Token, now_ms: int) -> bool:
    """Whether it is neither revoked nor expired."""
    return token.revoked_ms is None and now_ms < token.expires_ms


def get(sql: Session, token_id: int) -> Token:
    """Raises ``UnknownAccountError``."""
    found = sql.get(Token, token_id, options=[joinedload(Token.account)])
    if found is None:
        raise UnknownAccountError(f"there is no token {token_id}")
    return found


def of_account(sql: Session, account_id: int) -> Sequence[Token]:
    """Its tokens, the newest first."""
    return sql.scalars(select(Token).where(Token.account_id == account_id).order_by(Token.id.desc())).all()


def note_use(database: Database, token: Token, now_ms: int) -> None:
    """Remember that it was used just now, once a minute."""
    if token.used_ms is not None and now_ms - token.used_ms < USED_STEP_MS:
        return
    with database.writing() as sql:
        sql.execute(update(Token).where(Token.id == token.id).values(used_ms=now_ms))
