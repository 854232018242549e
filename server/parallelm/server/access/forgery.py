"""Requests that another site makes a browser send (CSRF): refused wherever something would change.

Two checks, each enough alone: what the browser says of the page that sent the request (``Sec-Fetch-Site``, ``Origin``), and a
token of the session that only our pages know, in the header ``X-CSRF-Token`` or the form field ``csrf_token``. Requests with a
token of the API in ``Authorization`` need none of it: no browser sends that by itself.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from parallelm.server.access.authentication import bearer
from parallelm.server.context import context_of

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from starlette.requests import HTTPConnection

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
HEADER: Final = "X-CSRF-Token"
FIELD: Final = "csrf_token"
_OURS: Final = frozenset({"same-origin", "none"})


async def refuse_forgery(request: Request) -> None:
    """403 for what another site has sent, or what comes without the session's token."""
    if request.method in SAFE or bearer(request) is not None:
        return
    if not comes_from_us(request):
        raise HTTPException(403, "another site has sent this request; open the page here and repeat it")
    asking = await run_in_threadpool(context_of(request).authenticate, request)
    if asking is None or not asking.csrf_token:
        return
    shown = request.headers.get(HEADER) or await _of_form(request)
    if not hmac.compare_digest(shown.encode(), asking.csrf_token.encode()):
        raise HTTPException(
            403, f"the request carries no valid {HEADER} of this session; load the page again and repeat it"
        )


def comes_from_us(connection: HTTPConnection) -> bool:
    """Whether a page of this server sent the request, by all that the browser says of it; programs say nothing."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site in _OURS
    origin = connection.headers.get("origin")
    if origin is None:
        return True
    public_url = context_of(connection).settings.server.public_url
    ours = {connection.headers.get("host", ""), urlsplit(public_url).netloc} - {""}
    sent_by = _parts(origin)
    return sent_by is not None and sent_by.netloc in ours


async def _of_form(request: Request) -> str:
    if not request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        return ""
    found = (await request.form()).get(FIELD, "")
    return found if isinstance(found, str) else ""


def go_on_path(request: Request) -> str:
    """Where to come back to after signing in: the page that was asked for."""
    url = request.url
    path = url.path.removeprefix(request.scope.get("root_path", ""))
    return f"{path}?{url.query}" if url.query and request.method in SAFE else path


def checked_go_on_path(path: str) -> str:
    """A path of this server; ``/`` for whatever could lead elsewhere."""
    parts = _parts(path)
    if parts is None or parts.scheme or parts.netloc or not path.startswith("/") or path[1:2] in {"/", "\\"}:
        return "/"
    return "/" if any(ord(sign) < ord(" ") for sign in path) else path


def _parts(url: str) -> SplitResult | None:
    """None for what is no address at all."""
    try:
        return urlsplit(url)
    except ValueError:
        return None
