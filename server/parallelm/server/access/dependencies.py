"""FastAPI dependencies: who asks, and whether they may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from parallelm.server.access.matrix import ACTIONS, ROLES
from parallelm.server.access.principal import Principal
from parallelm.server.context import context_of


def principal(request: Request) -> Principal:
    """Who asks; 401 for somebody unknown."""
    found = context_of(request).authenticate(request)
    if found is None:
        raise HTTPException(401, "sign in first, or send a token", headers={"WWW-Authenticate": "Bearer"})
    return found


Asking = Annotated[Principal, Depends(principal)]
"""Parameter of a handler: who asks."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """Dependency of a route: who asks must be allowed an action."""

    action: str
    anywhere: bool

    def __call__(self, request: Request, asking: Asking) -> Principal:
        """Let them pass; 403 for those who may not."""
        if not (self.anywhere and asking.mlapps(self.action)):
            allow(asking, self.action, request.path_params.get("mlapp_id"))
        return asking


def require(action: str, *, anywhere: bool = False) -> Requirement:
    """Dependency that lets those pass who may do ``action``: to the MLApp of the path where it names one, else to all.

    With ``anywhere`` to at least one: the handler shows what is theirs.
    """
    if action not in ACTIONS:
        raise KeyError(action)
    return Requirement(action, anywhere)


def allow(asking: Principal, action: str, mlapp_id: str | None = None) -> None:
    """403 unless they may."""
    if asking.may(action, mlapp_id):
        return
    if asking.scopes is not None and action not in asking.scopes:
        raise HTTPException(
            403,
            f"the token of {asking.name} is not for {action}: make one with this scope, or without any (Profile)",
        )
    where = f" on MLApp {mlapp_id!r}" if mlapp_id else ""
    roles = ", ".join(role.replace("_", " ") for role in ROLES if role in ACTIONS[action].roles)
    raise HTTPException(
        403,
        f"{asking.name} has no role that allows {action}{where}; ask an administrator for one of: {roles}",
    )


def allow_grants(asking: Principal, gained: Iterable[tuple[str, str]]) -> None:
    """403 unless they may let somebody have all these roles on MLApps: a token that is limited must not widen itself."""
    for role, mlapp_id in sorted(gained):
        if not asking.may_grant(role, mlapp_id):
            raise HTTPException(
                403,
                f"the token of {asking.name} is limited, and gives no role that allows more than itself: {role} on {mlapp_id!r} "
                "takes a session (sign in with a browser), or a token without scopes",
            )


def require_session(asking: Asking) -> Principal:
    """For what lets somebody in: a stolen token must neither make itself others, nor a session."""
    if not asking.session or asking.is_by_login:
        raise HTTPException(403, "this needs a session: sign in with a browser; a token cannot do it")
    return asking


AskingInPerson = Annotated[Principal, Depends(require_session)]
"""Parameter of a handler: who asks, with a session."""
