"""Sign in and out."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from parallelm.schemas.well_known import SERVER_ACCOUNT
from parallelm.server.access import authentication
from parallelm.server.access.entering import begin_session, with_password
from parallelm.server.access.forgery import checked_go_on_path
from parallelm.server.accounts import sessions
from parallelm.server.accounts.tables import Account
from parallelm.server.context import context_of
from parallelm.server.errors import LockedOutError, SignInError
from parallelm.server.pages.rendering import render

ROUTER: Final = APIRouter()
_SEE_OTHER: Final = 303
NO_STORE: Final = {"Cache-Control": "no-store"}


@ROUTER.get("/sign-in")
def ask(request: Request, go_on: Annotated[str, Query(alias="next")] = "/") -> Response:
    """The form; somebody who is signed in goes on at once."""
    go_on = checked_go_on_path(go_on)
    if context_of(request).authenticate(request) is not None:
        return _redirect(request, go_on)
    return sign_in_form(request, go_on)


@ROUTER.post("/sign-in")
def sign_in(
    request: Request,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    go_on: Annotated[str, Form(alias="next", max_length=2000)] = "/",
) -> Response:
    """Begin a session, and go on to where somebody wanted to be."""
    go_on = checked_go_on_path(go_on)
    try:
        account = with_password(request, name, password)
    except SignInError as error:
        return _refused(request, error, name, go_on)
    return begin(request, account, SERVER_ACCOUNT, go_on)


def _refused(request: Request, error: SignInError, name: str, go_on: str) -> Response:
    if isinstance(error, LockedOutError):
        retry = {"Retry-After": str(error.retry_after_s)}
        return sign_in_form(request, go_on, name=name, problem=str(error), status_code=429, headers=retry)
    return sign_in_form(request, go_on, name=name, problem=str(error), status_code=401)


@ROUTER.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End this browser's session."""
    context = context_of(request)
    asking = context.authenticate(request)
    if asking is not None:
        with context.audit.changing(asking.author) as change:
            sessions.end(change.sql, asking.session)
            change.note("sign_out", asking.name)
    response = _redirect(request, "/sign-in")
    authentication.clear_session(response, request, context.database)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def begin(request: Request, account: Account, authenticated_by: str, go_on: str) -> Response:
    """Go on with a new session."""
    secret = begin_session(request, account, authenticated_by)
    response = _redirect(request, go_on)
    authentication.set_session(response, request, context_of(request).database, secret)
    return response


def _redirect(request: Request, path: str) -> Response:
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", _SEE_OTHER, NO_STORE)


def sign_in_form(
    request: Request,
    go_on: str,
    *,
    name: str = "",
    problem: str = "",
    status_code: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """The form, with what went wrong before."""
    has_provider = context_of(request).identity_provider.is_there
    values = {"go_on": go_on, "name": name, "problem": problem, "has_provider": has_provider}
    return render(
        request, "sign_in.html", values, status_code=status_code, headers=NO_STORE | (headers or {})
    )
