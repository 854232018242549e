"""Passwords: which are taken (NIST SP 800-63B: long ones, no rules on signs), and how they are kept (argon2id, RFC 9106)."""

from __future__ import annotations

import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from parallelm.server.errors import PasswordError

LEAST: Final = 12
MOST: Final = 256
_LEAST_SIGNS: Final = 5
_GUESSED_FIRST: Final = ("password", "passwort", "qwerty", "123456", "letmein", "welcome", "admin", "mcenter")
_HASHER: Final = PasswordHasher()
_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""Each takes 64 MB for some 50 ms: sign-ins in masses may wait, but must not take the memory of the server."""
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


def hashed(password: str) -> str:
    """As it is kept."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def fits(password: str, kept: str | None) -> bool:
    """Whether it is the password. Takes as long where there is none."""
    try:
        with _AT_ONCE:
            return _HASHER.verify(kept or _NOBODYS, password[: MOST + 1])
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(kept: str) -> bool:
    """Whether it was hashed with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(kept)
