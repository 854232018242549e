"""How large what is sent may be.

Bodies are read before anybody is asked who they are: what is large is read of those only whom the server knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from parallelm.server.api._uploads import MOST_BYTES
from parallelm.server.compatibility.callers import caller_of
from parallelm.server.problems import ApiProblemError, problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALL: Final = 3_000_000
"""Of anybody, and of what is read into memory as JSON or YAML."""
FORM: Final = 20_000_000_000
"""Of forms, whose files are kept on disk: models."""
_LIMITS: Final = {
    "multipart/form-data": FORM,
    "text/csv": MOST_BYTES,
    "application/octet-stream": MOST_BYTES,
    "application/vnd.apache.parquet": MOST_BYTES,
}


class BodyLimit:
    """ASGI middleware: 413 for what is too large, before it is read where its length is said."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        limit = _LIMITS.get(kind, SMALL)
        length = request.headers.get("content-length", "")
        said = int(length) if length.isdecimal() else None
        if limit > SMALL and (said is None or said > SMALL):
            limit = limit if await run_in_threadpool(caller_of, request) is not None else SMALL
        if said is not None and said > limit:
            await problem(request, 413, _too_large(limit), kind="too-large")(scope, receive, send)
            return
        read = 0

        async def receive_bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise ApiProblemError(413, "too-large", _too_large(limit))
            return message

        await self._app(scope, receive_bounded, send)


def _too_large(limit: int) -> str:
    return f"this is too large: send at most {limit} bytes{', or sign in first' if limit == SMALL else ''}"
