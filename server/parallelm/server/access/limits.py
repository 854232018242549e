"""How much somebody may ask for: requests to the API in a minute, and the size of a request's body."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from parallelm.server.accounts.request_allowances import set_aside
from parallelm.server.context import context_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from parallelm.server.accounts.database import Database

BODY_BYTES: Final = 2 * 1024**2
"""Of a request that names no other limit."""
UPLOAD_BYTES: Final = 4 * 1024**3
"""Of a file that is uploaded: ``max_body_size=UPLOAD_BYTES`` on the route."""
_WINDOW_S: Final = 60
_PARTS: Final = 20
_KNOWN: Final = "rate_limit"


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of a limit."""

    limit: int
    left: int
    """Negative when there were too many."""
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """As an answer tells it."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.left)),
            "RateLimit-Reset": str(self.reset_s),
        }


@dataclass(slots=True)
class _Allowance:
    """Of one asker in one minute, in this process."""

    left: int = 0
    """Of what was set aside."""
    taken: int = 0
    """By all processes, when this one last asked."""
    is_spent: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class RequestLimit:
    """Counts requests by who asks, in windows of a minute; all processes on one SQL database share a limit.

    A process sets some requests aside at a time, a twentieth of the limit, so that few of them write to the database. With
    several processes, some of the limit may remain unused in one while another one refuses: never is more let through.
    """

    def __init__(self, database: Database, in_a_minute: int, *, of: str = "") -> None:
        """``of`` tells what is counted from what another limit on the same database counts."""
        self._of = of
        self._database = database
        self._in_a_minute = in_a_minute
        self._at_a_time = max(1, in_a_minute // _PARTS)
        self._lock = threading.Lock()
        self._window = 0
        self._allowances: dict[str, _Allowance] = {}

    def take(self, who: str, now_s: float) -> Remaining | None:
        """Count one request; None without a limit."""
        if not self._in_a_minute:
            return None
        window = int(now_s // _WINDOW_S)
        with self._lock:
            if window != self._window:
                self._window, self._allowances = window, {}
            allowance = self._allowances.setdefault(who, _Allowance())
        with allowance.lock:
            left = self._take(who, window, allowance)
        reset_s = int((window + 1) * _WINDOW_S - now_s) + 1
        return Remaining(self._in_a_minute, left, reset_s)

    def _take(self, who: str, window: int, allowance: _Allowance) -> int:
        if not allowance.left and not allowance.is_spent:
            granted, allowance.taken = set_aside(
                self._database, f"{self._of}{who}", window, self._at_a_time, self._in_a_minute
            )
            allowance.left, allowance.is_spent = granted, not granted
        if not allowance.left:
            return -1
        allowance.left -= 1
        return self._in_a_minute - allowance.taken + allowance.left


class NobodysFiles:
    """ASGI middleware: of somebody unknown no large body is read, not even to say that he must sign in.

    A form is read before a route's dependencies are asked.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _may_be_large(scope):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if await run_in_threadpool(context_of(request).authenticate_program, request) is not None:
            await self._app(scope, receive, send)
            return
        from parallelm.server.problems import problem

        detail = "sign in first, or send a token, and then the file"
        answer = problem(request, 401, detail, headers={"WWW-Authenticate": "Bearer", "Connection": "close"})
        await answer(scope, receive, send)


def _may_be_large(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    return b"transfer-encoding" in headers or not length.isdigit() or int(length) > BODY_BYTES


async def limit_rate(request: Request) -> None:
    """Dependency of the routes for programs: 429 for who asks too often."""
    await _count(request, context_of(request).requests, "requests")


async def limit_reports(request: Request) -> None:
    """Dependency of the routes by which programs report: the same with a limit of its own."""
    await _count(request, context_of(request).reports, "reports")


async def _count(request: Request, limit: RequestLimit, what: str) -> None:
    asking = await run_in_threadpool(context_of(request).authenticate_program, request)
    address = request.client.host if request.client else ""
    who = f"account {asking.account_id}" if asking else f"address {address}"
    remaining = await run_in_threadpool(limit.take, who, time.time())
    if remaining is None:
        return
    request.scope["state"][_KNOWN] = remaining
    if remaining.left < 0:
        raise HTTPException(
            429,
            f"more than {remaining.limit} {what} in a minute; go on in {remaining.reset_s} s",
            headers={"Retry-After": str(remaining.reset_s)},
        )


def rate_headers(scope: Scope) -> dict[str, str]:
    """What an answer tells of the limit."""
    known = scope.get("state", {}).get(_KNOWN)
    return known.headers if isinstance(known, Remaining) else {}
