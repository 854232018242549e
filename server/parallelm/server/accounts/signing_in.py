"""Sign-in with name and password. Failures of a name and of an address count, whether or not there is such an account."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, update
from sqlalchemy.dialects import postgresql, sqlite

from parallelm.server.accounts import passwords, people
from parallelm.server.accounts.secret_texts import digest
from parallelm.server.accounts.tables import Account, FailedAttempts
from parallelm.server.errors import BusyError, LockedOutError, SignInError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from parallelm.server.accounts.database import Database

FORGET_MS: Final = 24 * 3_600_000
_MINUTE_MS: Final = 60_000
_NO: Final = "name and password do not fit; an administrator can make you a link to choose another password"


@dataclass(frozen=True, slots=True)
class Limit:
    """How many failures in a row are free, and how long each further one locks: twice as long as the one before."""

    free: int
    first_ms: int
    longest_ms: int

    def lock_ms(self, count: int) -> int:
        """How long ``count`` failures lock."""
        if count < self.free:
            return 0
        doubled = self.first_ms << min(count - self.free, 20)
        return min(doubled, self.longest_ms)


OF_NAME: Final = Limit(free=5, first_ms=_MINUTE_MS, longest_ms=60 * _MINUTE_MS)
OF_ADDRESS: Final = Limit(free=30, first_ms=_MINUTE_MS, longest_ms=60 * _MINUTE_MS)
"""Many people may share an address."""


def sign_in(database: Database, name: str, password: str, address: str, now_ms: int) -> Account:
    """The account; raises ``SignInError`` and ``LockedOutError``. Takes equally long for names that do not exist.

    The password is checked outside of any transaction, so that sign-ins do not keep others from writing.
    """
    name = name.strip().lower()
    of_name, of_address = _subject("name", name), _subject("address", _network(address))
    # Counted before the password is looked at: attempts side by side must not be more than those one after the other.
    known = ""
    try:
        with database.writing() as sql:
            account = people.known(sql, name)
            known = account.name if account else ""
            _count_attempt(sql, of_name, OF_NAME, now_ms)
            _count_attempt(sql, of_address, OF_ADDRESS, now_ms)
            sql.execute(delete(FailedAttempts).where(FailedAttempts.last_ms < now_ms - FORGET_MS))
        account = _checked(account, password)
    except BusyError:
        with database.writing() as sql:  # it was no attempt
            _take_back(sql, of_name, of_address)
        raise
    except SignInError as error:
        error.account_name = known
        raise
    outdated = account.password_hash and passwords.is_outdated(account.password_hash)
    with database.writing() as sql:
        account = sql.get_one(Account, account.id)
        if outdated:
            account.password_hash = passwords.hashed(password)
        unlock(sql, name)
        # An own account is no way to try those of others for ever.
        _take_back(sql, of_address)
    return account


def _checked(account: Account | None, password: str) -> Account:
    fits = passwords.fits(password, account.password_hash if account else None)
    if account is None or not fits or account.disabled_ms is not None:
        raise SignInError(_NO)
    return account


def unlock(sql: Session, name: str) -> None:
    """Forget the failures of an account."""
    sql.execute(delete(FailedAttempts).where(FailedAttempts.subject == _subject("name", name)))


def locked_until_ms(sql: Session, name: str) -> int:
    """Until when an account is locked; 0 or in the past when it is not."""
    found = sql.get(FailedAttempts, _subject("name", name))
    return found.locked_until_ms if found else 0


def _take_back(sql: Session, *subjects: str) -> None:
    one_less = update(FailedAttempts).where(FailedAttempts.subject.in_(subjects))
    sql.execute(one_less.values(count=FailedAttempts.count - 1, locked_until_ms=0))


def _network(address: str) -> str:
    """Of IPv6 the network of 64 bits: whoever has one has all its addresses."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return address if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))  # noqa: PLR2004 - IPv4


def _subject(kind: str, text: str) -> str:
    return f"{kind}:{digest(text)}"


def _count_attempt(sql: Session, subject: str, limit: Limit, now_ms: int) -> None:
    """One more, as if it fails; raises ``LockedOutError`` when it is locked."""
    dialect: Any = postgresql if sql.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(FailedAttempts).values(
        subject=subject, count=1, last_ms=now_ms, locked_until_ms=0
    )
    counted = statement.on_conflict_do_update(
        index_elements=[FailedAttempts.subject], set_={"count": FailedAttempts.count + 1, "last_ms": now_ms}
    ).returning(FailedAttempts.count, FailedAttempts.locked_until_ms)
    count, locked_until_ms = sql.execute(counted).one()
    if locked_until_ms > now_ms:
        wait_s = math.ceil((locked_until_ms - now_ms) / 1000)
        raise LockedOutError(
            f"too many attempts have failed; try again in {_in_words(wait_s)}, or let an administrator unlock the account",
            wait_s,
        )
    until_ms = now_ms + limit.lock_ms(count)
    sql.execute(
        update(FailedAttempts).where(FailedAttempts.subject == subject).values(locked_until_ms=until_ms)
    )


def _in_words(seconds: int) -> str:
    return f"{math.ceil(seconds / 60)} min" if seconds > 60 else f"{seconds} s"  # noqa: PLR2004
