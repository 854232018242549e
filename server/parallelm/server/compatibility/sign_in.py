"""Login and ids."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from parallelm.schemas.well_known import SERVER_ACCOUNT
from parallelm.server.access.authentication import lifetimes, now_ms
from parallelm.server.access.entering import begin_session, by_password
from parallelm.server.accounts.json_web_tokens import as_token
from parallelm.server.compatibility.callers import Caller
from parallelm.server.context import context_of

ROUTER: Final = APIRouter()


class Login(BaseModel):
    """Name and password."""

    username: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=1000)]


@ROUTER.post("/auth/login")
def login(request: Request, said: Login) -> dict[str, str]:
    """A token for the other calls."""
    account = by_password(request, said.username, said.password)
    secret = begin_session(request, account, SERVER_ACCOUNT, for_a_program=True)
    now, kept = now_ms(), lifetimes(context_of(request).settings.server)
    return {"token": as_token(secret, account.name, now // 1000, (now + kept.longest_ms) // 1000)}


@ROUTER.get("/uuid")
def new_id(caller: Caller) -> dict[str, str]:  # noqa: ARG001 - asks who calls
    """An id for a new model."""
    return {"id": uuid.uuid4().hex}
