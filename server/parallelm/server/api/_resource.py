"""What the routes of all resources share: names, problems, and entity tags on what is read."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header
from fastapi.routing import APIRoute
from starlette.responses import Response

from parallelm.server.problems import ApiProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.requests import Request


IfMatch = Annotated[
    str | None,
    Header(max_length=100, description="`ETag` of what was read: 412 when somebody has changed it since."),
]
"""Parameter of a handler that changes what others may be changing."""


class ConditionalRoute(APIRoute):
    """Answers of GET carry an ``ETag``; ``If-None-Match`` with it gives 304 without a body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's, with entity tags around it."""
        handle = super().get_route_handler()

        async def tagged(request: Request) -> Response:
            return conditional(request, await handle(request))

        return tagged


def resource(tag: str) -> APIRouter:
    """Router of a resource."""
    return APIRouter(tags=[tag], route_class=ConditionalRoute)


def conditional(request: Request, answer: Response) -> Response:
    """The answer with its tag, or 304 when the one who asks has it already."""
    body = getattr(answer, "body", None)
    if request.method not in {"GET", "HEAD"} or answer.status_code != 200 or not isinstance(body, bytes):  # noqa: PLR2004 - the status itself
        return answer
    tag = answer.headers.setdefault("ETag", f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    answer.headers.setdefault("Cache-Control", "private, no-cache")
    if matches(request.headers.get("if-none-match", ""), tag):
        kept = {
            name: answer.headers[name] for name in ("ETag", "Cache-Control", "Link") if name in answer.headers
        }
        return Response(status_code=304, headers=kept)
    return answer


def tag_of(values: Any) -> str:
    """Entity tag of what is shown; the same for as long as nothing of it changes."""
    text = json.dumps(values, sort_keys=True, default=str)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def require_unchanged(if_match: str | None, values: Any) -> None:
    """412 unless ``If-Match`` is missing or of what is there now."""
    if if_match is not None and not matches(if_match, tag_of(values)):
        raise ApiProblemError(
            412,
            "changed-meanwhile",
            "somebody has changed it since it was read: read it again, and decide anew",
        )


def matches(header: str, tag: str) -> bool:
    """Whether ``If-Match`` or ``If-None-Match`` names the tag; a weak one counts, since a proxy that compresses makes it so."""
    named = [each.strip().removeprefix("W/") for each in header.split(",")]
    return tag in named or "*" in named
