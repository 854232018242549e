"""Passwords: which are taken (NIST SP 800-63B: long ones, no rules on signs), and how they are kept (argon2id, RFC 9106)."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from parallelm.server.errors import BusyError, PasswordError

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST: Final = 12
MOST: Final = 256
_LEAST_SIGNS: Final = 5
_GUESSED_FIRST: Final = ("password", "passwort", "qwerty", "123456", "letmein", "welcome", "admin", "mcenter")
_HASHER: Final = PasswordHasher()
_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""Each takes 64 MB for some 50 ms: sign-ins in masses must not take the memory of the server."""
_WAITING: Final = threading.BoundedSemaphore(10)
"""Nor all its threads: who comes when so many are at it or wait is asked to come again."""
_AGAIN_S: Final = 5
_NOBODYS: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$AwNo5sP6pw3eMr1X9in20Q$X8hXwDuFpUS2WIwStzoO22NWGHAqnR4BZiQH8Z3pP6E"
)
"""As costly to check as a real one, and fits no password."""


def check_rules(password: str, account_name: str) -> None:
    """Raise ``PasswordError`` for a password that is guessed soon."""
    if len(password) < LEAST:
        raise PasswordError(f"the password has {len(password)} characters; it needs at least {LEAST}")
    if len(password) > MOST:
        raise PasswordError(f"the password has {len(password)} characters; at most {MOST} are taken")
    if len(set(password)) < _LEAST_SIGNS:
        raise PasswordError(
            f"the password repeats few characters; use at least {_LEAST_SIGNS} different ones"
        )
    rest = password.casefold()
    for word in (account_name, *_GUESSED_FIRST):
        rest = rest.replace(word.casefold(), "") if word else rest
    if len(rest) < LEAST // 2:
        raise PasswordError(
            "the password is hardly more than the account's name or a common word; add others"
        )


@contextmanager
def _turn() -> Iterator[None]:
    """Wait for one's turn; raises ``BusyError``."""
    if not _WAITING.acquire(blocking=False):
        raise BusyError(f"too many sign in at this moment; try again in {_AGAIN_S} s", _AGAIN_S)
    try:
        with _AT_ONCE:
            yield
    finally:
        _WAITING.release()


def hashed(password: str) -> str:
    """As it is kept. Raises ``BusyError``."""
    with _turn():
        return _HASHER.hash(password)


def fits(password: str, kept: str | None) -> bool:
    """Whether it is the password. Takes as long where there is none. Raises ``BusyError``."""
    try:
        with _turn():
            return _HASHER.verify(kept or _NOBODYS, password[: MOST + 1])
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(kept: str) -> bool:
    """Whether it was hashed with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(kept)
