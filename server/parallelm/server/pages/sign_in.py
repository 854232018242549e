"""Sign in and out."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from parallelm.operations.authors import Author
from parallelm.schemas.well_known import NOBODY, SERVER_ACCOUNT
from parallelm.server.access import authentication
from parallelm.server.access.forgery import checked_go_on_path
from parallelm.server.accounts import sessions, signing_in
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
        account = signing_in.sign_in(
            context_of(request).database, name, password, address_of(request), authentication.now_ms()
        )
    except SignInError as error:
        return _refused(request, error, name, go_on)
    return begin(request, account, SERVER_ACCOUNT, go_on)


def _refused(request: Request, error: SignInError, name: str, go_on: str) -> Response:
    action = "lock_out" if isinstance(error, LockedOutError) else "refuse_sign_in"
    context_of(request).audit.refused(
        Author(error.account_name, NOBODY), action, error.account_name, address=address_of(request)
    )
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
    """A new session, also where there was one: nobody can have planted it."""
    context = context_of(request)
    before = context.authenticate(request)
    with context.audit.changing(Author(account.name, authenticated_by)) as change:
        if before is not None:
            sessions.end(change.sql, before.session)
        change.note("sign_in", account.name, address=address_of(request))
        secret = sessions.begin(
            change.sql,
            change.sql.merge(account),
            authenticated_by,
            authentication.now_ms(),
            authentication.lifetimes(context.settings.server),
            address=address_of(request),
            browser=request.headers.get("user-agent", ""),
        )
    response = _redirect(request, go_on)
    authentication.set_session(response, request, context.database, secret)
    return response


def address_of(request: Request) -> str:
    """Of the host that asks."""
    return request.client.host if request.client else ""


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
