"""Login and ids."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from parallelm.schemas.well_known import SERVER_ACCOUNT
from parallelm.server.access.authentication import lifetimes, now_ms
from parallelm.server.accounts import sessions, signing_in
from parallelm.server.accounts.json_web_tokens import as_token
from parallelm.server.compatibility._caller import Caller
from parallelm.server.context import context_of
from parallelm.server.errors import LockedOutError, SignInError

ROUTER: Final = APIRouter()


class Login(BaseModel):
    """Name and password."""

    username: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=1000)]


@ROUTER.post("/auth/login")
def login(request: Request, said: Login) -> dict[str, str]:
    """A token for the other calls."""
    context, now = context_of(request), now_ms()
    address = request.client.host if request.client else ""
    try:
        account = signing_in.sign_in(context.database, said.username, said.password, address, now)
    except LockedOutError as error:
        raise HTTPException(429, str(error), headers={"Retry-After": str(error.retry_after_s)}) from error
    except SignInError as error:
        raise HTTPException(401, str(error)) from error
    kept = lifetimes(context.settings.server)
    with context.database.writing() as sql:
        secret = sessions.begin(
            sql,
            sql.merge(account),
            SERVER_ACCOUNT,
            now,
            kept,
            address=address,
            browser=request.headers.get("user-agent", ""),
        )
    return {"token": as_token(secret, account.name, now // 1000, (now + kept.longest_ms) // 1000)}


@ROUTER.get("/uuid")
def new_id(caller: Caller) -> dict[str, str]:  # noqa: ARG001 - asks who calls
    """An id for a new model."""
    return {"id": uuid.uuid4().hex}
