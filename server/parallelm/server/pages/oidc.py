"""Sign-in by the identity provider: there and back."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from parallelm.operations.authors import Author
from parallelm.schemas.well_known import NOBODY, OIDC_ACCOUNT
from parallelm.server.access.authentication import cookie_path, now_ms
from parallelm.server.access.entering import address_of
from parallelm.server.access.forgery import checked_go_on_path
from parallelm.server.accounts.oidc import EXPIRES_S, Identity
from parallelm.server.accounts.oidc_accounts import account_of
from parallelm.server.context import context_of
from parallelm.server.errors import IdentityProviderError
from parallelm.server.pages.sign_in import NO_STORE, begin, sign_in_form
from parallelm.server.requests import base_url

ROUTER: Final = APIRouter(prefix="/oidc")
_FOUND: Final = 302


@ROUTER.get("/start")
def start(request: Request, go_on: Annotated[str, Query(alias="next", max_length=2000)] = "/") -> Response:
    """Go to the identity provider."""
    context = context_of(request)
    if not context.identity_provider.is_there:
        raise HTTPException(404, "no identity provider is set up; see [server] oidc_issuer")
    try:
        sent = context.identity_provider.begin(
            context.database, _back(request), checked_go_on_path(go_on), now_ms()
        )
    except IdentityProviderError as error:
        return sign_in_form(request, go_on, problem=str(error), status_code=503)
    response = RedirectResponse(sent.url, _FOUND, NO_STORE)
    response.set_cookie(
        _cookie(request),
        sent.browser_secret,
        max_age=EXPIRES_S,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path=cookie_path(request),
    )
    return response


@ROUTER.get("/callback")
def come_back(
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Come back from it, and begin a session."""
    context = context_of(request)
    try:
        identity = _identity(request, state, code, error)
        with context.database.writing() as sql:
            account = account_of(sql, identity, now_ms())
    except IdentityProviderError as refused:
        author = Author("", NOBODY)
        context.audit.refused(
            author, "refuse_sign_in", "identity provider", reason=refused, address=address_of(request)
        )
        return sign_in_form(request, "/", problem=str(refused), status_code=401)
    response = begin(request, account, OIDC_ACCOUNT, identity.go_on)
    response.delete_cookie(_cookie(request), path=cookie_path(request))
    return response


def _identity(request: Request, state: str, code: str, error: str) -> Identity:
    context = context_of(request)
    provider = context.identity_provider
    with context.database.writing() as sql:
        expected = provider.take(sql, state, request.cookies.get(_cookie(request), ""), now_ms())
    if error or not code:
        raise IdentityProviderError(f"the identity provider has not let you in: {error or 'no code'}")
    return provider.identify(expected, _back(request), code)


def _back(request: Request) -> str:
    return f"{base_url(request)}/oidc/callback"


def _cookie(request: Request) -> str:
    return f"mcenter_oidc_{context_of(request).database.installation_id}"
