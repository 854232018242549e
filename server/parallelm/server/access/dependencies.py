"""FastAPI dependencies: who asks, and whether they may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, HTTPException, Request

from parallelm.server.access.principal import Principal
from parallelm.server.context import context_of

if TYPE_CHECKING:
    from collections.abc import Callable


def principal(request: Request) -> Principal:
    """Who asks; 401 for somebody unknown."""
    found = context_of(request).authenticate(request)
    if found is None:
        raise HTTPException(401, "sign in first, or send a token", headers={"WWW-Authenticate": "Bearer"})
    return found


Asking = Annotated[Principal, Depends(principal)]
"""Parameter of a handler: who asks."""


def require(action: str, *, anywhere: bool = False) -> Callable[..., Principal]:
    """Dependency that lets those pass who may do ``action``: to the MLApp of the path where it names one, else to all.

    With ``anywhere`` to at least one: the handler shows what is theirs.
    """

    def check(request: Request, asking: Asking) -> Principal:
        if not (anywhere and asking.mlapps(action)):
            allow(asking, action, request.path_params.get("mlapp_id"))
        return asking

    return check


def allow(asking: Principal, action: str, mlapp_id: str | None = None) -> None:
    """403 unless they may."""
    if not asking.may(action, mlapp_id):
        where = f" on MLApp {mlapp_id!r}" if mlapp_id else ""
        raise HTTPException(
            403, f"{asking.name} has no role that allows {action}{where}; ask an administrator for one"
        )
