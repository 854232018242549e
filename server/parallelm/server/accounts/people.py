"""Accounts: made, changed, disabled. Each function works inside the caller's transaction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from parallelm.server.accounts import passwords
from parallelm.server.accounts.roles import set_grants
from parallelm.server.accounts.tables import PERSON, Account
from parallelm.server.errors import AccountError, UnknownAccountError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from parallelm.server.accounts.roles import RoleOnMLApp

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")


def checked_name(name: str) -> str:
    """As accounts and groups are called: lower case, no signs that could mean something elsewhere."""
    lower = name.strip().lower()
    if not _NAME.fullmatch(lower):
        raise AccountError(
            f"{name[:100]!r} is no name for an account or a group: 1 to 100 of the signs a-z 0-9 . _ @ + -, the first a letter or a digit"
        )
    return lower


def checked_text(text: str) -> str:
    """A text for people to read; raises ``AccountError`` for signs that cannot be shown."""
    if not text.isprintable():
        raise AccountError(f"{text[:100]!r} has signs that cannot be shown")
    return text[:200]


def known(sql: Session, name: str) -> Account | None:
    """The account of this name; None for what cannot be a name, of which some databases do not even take the signs."""
    lower = name.strip().lower()
    return sql.scalar(select(Account).where(Account.name == lower)) if _NAME.fullmatch(lower) else None


def find(sql: Session, name: str) -> Account:
    """The account of this name; raises ``UnknownAccountError``."""
    found = known(sql, name)
    if found is None:
        raise UnknownAccountError(f"there is no account {name[:100]!r}")
    return found


def create(
    sql: Session,
    name: str,
    now_ms: int,
    *,
    kind: str = PERSON,
    full_name: str = "",
    password: str | None = None,
    grants: Iterable[RoleOnMLApp] = (),
) -> Account:
    """A new account; without a password it signs in after a reset link or by the identity provider. Raises ``AccountError``."""
    name = checked_name(name)
    if sql.scalar(select(Account.id).where(Account.name == name)) is not None:
        raise AccountError(f"there is an account {name!r} already")
    made = Account(name=name, kind=kind, full_name=checked_text(full_name), created_ms=now_ms)
    set_grants(made, grants)
    if password is not None:
        set_password(made, password, now_ms)
    sql.add(made)
    sql.flush()
    return made


def set_password(account: Account, password: str, now_ms: int) -> None:
    """Raises ``PasswordError`` when it is too easily guessed. The caller ends the account's sessions."""
    passwords.check_rules(password, account.name)
    account.password_hash = passwords.hashed(password)
    account.password_changed_ms = now_ms
