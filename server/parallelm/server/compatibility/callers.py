"""Who calls: by the token of the login, in the cookie ``token`` or as Bearer, or by a token or session of the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request

from parallelm.server.access.principal import Principal
from parallelm.server.context import context_of


def _caller(request: Request) -> Principal:
    found = context_of(request).authenticate_program(request)
    if found is None:
        raise HTTPException(401, "log in first: POST auth/login with username and password")
    return found


Caller = Annotated[Principal, Depends(_caller)]
"""Parameter of a handler."""
