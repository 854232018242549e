"""Accounts for tests, and sessions of theirs."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from parallelm.schemas.well_known import SERVER_ACCOUNT
from parallelm.server.access.authentication import cookie_name
from parallelm.server.access.forgery import HEADER
from parallelm.server.access.matrix import ADMIN, ROLES
from parallelm.server.access.principal import EVERY_MLAPP
from parallelm.server.accounts import passwords, people, sessions
from parallelm.server.accounts.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from argon2 import PasswordHasher

ACCOUNT_OF = {role: f"{role.replace('_', '-')}-of-tests" for role in ROLES}
"""Accounts by the role that each has on all MLApps; the administrator is ``ada``."""
ACCOUNT_OF[ADMIN] = "ada"
PASSWORD = "correct horse battery"  # noqa: S105 - of accounts that only tests have


@cache
def _password_hash(hasher: PasswordHasher) -> str:
    """Hashed once: it is costly, and every database here has six such accounts."""
    return hasher.hash(PASSWORD)


@contextmanager
def opened_database(url: str) -> Iterator[Database]:
    """A migrated SQL database with an account for each role."""
    database = Database(url)
    try:
        with database.writing() as sql:
            for role, name in ACCOUNT_OF.items():
                now_ms = time.time_ns() // 1_000_000
                account = people.create(sql, name, now_ms, grants=[(role, EVERY_MLAPP)])
                account.password_hash = _password_hash(passwords._HASHER)
                account.password_changed_ms = now_ms
        yield database
    finally:
        database.close()


@dataclass(frozen=True)
class SignedIn:
    """A session as a browser or a client shows it."""

    cookie: str
    secret: str

    @property
    def csrf_token(self) -> str:
        return sessions.csrf_token(self.secret)

    def browser_cookie(self, url: str) -> Any:
        """For ``add_cookies`` of a browser's context."""
        return {"name": self.cookie, "value": self.secret, "url": url}

    def client(self, url: str, headers: dict[str, str] | None = None) -> httpx.Client:
        """A client that sends what a page of the session sends."""
        return httpx.Client(
            base_url=url,
            cookies={self.cookie: self.secret},
            headers={HEADER: self.csrf_token} | (headers or {}),
        )


def make_account(database: Database, grants: Iterable[tuple[str, str]], **fields: Any) -> str:
    """A new account with these roles; returns its name."""
    name = f"u-{uuid.uuid4().hex[:10]}"
    with database.writing() as sql:
        people.create(sql, name, time.time_ns() // 1_000_000, grants=grants, **fields)
    return name


def signed_in(database: Database, name: str) -> SignedIn:
    """A session of an account, as its sign-in begins one."""
    with database.writing() as sql:
        account = people.find(sql, name)
        now_ms = time.time_ns() // 1_000_000
        return SignedIn(
            cookie_name(database), sessions.begin(sql, account, SERVER_ACCOUNT, now_ms, sessions.Lifetimes())
        )
