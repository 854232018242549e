"""Who calls: by the token of the login, in the cookie ``token`` or as Bearer, or by a token of the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request

from parallelm.server.access.authentication import by_session
from parallelm.server.access.principal import Principal
from parallelm.server.accounts.json_web_tokens import secret_in
from parallelm.server.context import context_of


def _caller(request: Request) -> Principal:
    context = context_of(request)
    found = context.authenticate(request)
    if found is None and (token := request.cookies.get("token")):
        found = by_session(context.database, context.settings.server, secret_in(token))
    if found is None:
        raise HTTPException(401, "log in first: POST auth/login with username and password")
    return found


Caller = Annotated[Principal, Depends(_caller)]
"""Parameter of a handler."""
