"""Who calls: by the token of the login, in the cookie ``token`` or as Bearer, or by a token or session of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, HTTPException, Request

from parallelm.server.access.authentication import by_session
from parallelm.server.access.principal import Principal
from parallelm.server.accounts.json_web_tokens import secret_in
from parallelm.server.context import context_of

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection


def caller_of(connection: HTTPConnection) -> Principal | None:
    """None for somebody unknown."""
    context = context_of(connection)
    found = context.authenticate(connection)
    if found is None and (token := connection.cookies.get("token")):
        found = by_session(context.database, context.settings.server, secret_in(token))
    return found


def _caller(request: Request) -> Principal:
    found = caller_of(request)
    if found is None:
        raise HTTPException(401, "log in first: POST auth/login with username and password")
    return found


Caller = Annotated[Principal, Depends(_caller)]
"""Parameter of a handler."""
