"""Who asks, how that is known, and what it allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from parallelm.operations.authors import Author
from parallelm.server.access.matrix import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY_MLAPP: Final = "*"
"""Key of roles that somebody has on all MLApps, and on what belongs to none."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a program."""

    name: str
    authenticated_by: str
    """``SERVER_ACCOUNT``, ``OIDC_ACCOUNT`` or ``API_TOKEN`` of the well-known names."""
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Roles by MLApp."""
    scopes: frozenset[str] | None = None
    """Actions that a token is limited to; None: no limit but the roles."""
    account_id: int = 0
    session: str = ""
    """Digest of the browser's session, where it is one."""
    is_by_login: bool = False
    """Whether it shows a session by the token of a login, as the original's programs do: nobody is there in person."""
    csrf_token: str = field(default="", repr=False)
    """What has to come with everything that a session's browser asks to be changed."""

    @property
    def author(self) -> Author:
        """As the author of what it does, for the audit log."""
        return Author(self.name, self.authenticated_by)

    def may(self, action: str, mlapp_id: str | None = None) -> bool:
        """Whether it may do this to the MLApp; without one, to all of them."""
        if self.scopes is not None and action not in self.scopes:
            return False
        held = self.roles.get(EVERY_MLAPP, frozenset())
        if mlapp_id is not None and ACTIONS[action].is_on_mlapp:
            held |= self.roles.get(mlapp_id, frozenset())
        return bool(held & ACTIONS[action].roles)

    def may_grant(self, role: str, mlapp_id: str) -> bool:
        """Whether it may give this role to somebody: a token that is limited gives nothing that it may not do itself."""
        where = None if mlapp_id == EVERY_MLAPP else mlapp_id
        return self.scopes is None or all(
            self.may(name, where)
            for name, action in ACTIONS.items()
            if role in action.roles and (action.is_on_mlapp or where is None)
        )

    def mlapps(self, action: str) -> frozenset[str] | None:
        """MLApps to which it may do this; None: all."""
        if self.may(action):
            return None
        return frozenset(mlapp_id for mlapp_id in self.roles if self.may(action, mlapp_id))
