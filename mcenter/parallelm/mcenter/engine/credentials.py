"""Who may enter: one user and one password."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from parallelm.mcenter.engine.errors import AUTHENTICATION_FAILED, EngineError


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password that every client must give."""

    user: str
    password: str = field(repr=False)

    def check(self, user: str, password: str) -> None:
        """Raise ``EngineError`` with code 516 unless both are right."""
        same_user = hmac.compare_digest(user.encode(), self.user.encode())
        same_password = hmac.compare_digest(password.encode(), self.password.encode())
        if not (same_user and same_password):
            raise EngineError(
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name.",
                AUTHENTICATION_FAILED,
            )
