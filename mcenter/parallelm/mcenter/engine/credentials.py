"""The users that are let in: one with all rights, and one that may only read."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from parallelm.mcenter.engine.errors import AUTHENTICATION_FAILED, EngineError


@dataclass(frozen=True, slots=True)
class Credentials:
    """Users and passwords, one of which every client must give."""

    user: str
    password: str = field(repr=False)
    reader: str = ""
    """A user whose sessions are read-only, see ``reader_guard``; empty text: there is none."""
    reader_password: str = field(default="", repr=False)

    def check(self, user: str, password: str) -> bool:
        """Whether this is the user that may read only; raises ``EngineError`` with code 516 unless it is one of the two."""
        if _same(user, self.user) & _same(password, self.password):
            return False
        if self.reader and _same(user, self.reader) & _same(password, self.reader_password):
            return True
        raise EngineError(
            f"{user}: Authentication failed: password is incorrect, or there is no user with such name.",
            AUTHENTICATION_FAILED,
        )


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
