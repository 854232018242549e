"""Back in, for who administers the machine and can read the database anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.server.accounts import links, management, people
from parallelm.server.errors import AccountError

if TYPE_CHECKING:
    from parallelm.server.accounts.audit import Change


def reset_secret(change: Change, name: str | None) -> str:
    """The secret of a link for an account, which is unlocked, or for the first administrator. Raises ``AccountError``."""
    if name is not None:
        return management.make_link(change, people.find(change.sql, name))
    secret = links.first_administrator(change.sql, change.now_ms)
    if secret is None:
        raise AccountError(
            "there is an administrator already; name the account: mcenter server reset-link USER"
        )
    change.note("make_first_administrator_link", "")
    return secret
