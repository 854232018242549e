"""Errors as answers: RFC 9457 problem details for the API, a page in words for people.

One table says which status an error of operations, topics or the warehouse has. What is in no table is a fault of ours: 500,
with nothing but the request's id, under which the log has the rest.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from clickhouse_driver import errors as clickhouse_errors
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from parallelm.definitions.errors import DefinitionError
from parallelm.operations import errors as operations
from parallelm.operations.authors import Author
from parallelm.operations.notifications import NoNotificationsFileError, UnknownRouteError
from parallelm.schemas import errors as schemas
from parallelm.schemas.times import TimeError
from parallelm.schemas.well_known import NOBODY
from parallelm.server import errors
from parallelm.server.access.authentication import bearer
from parallelm.server.access.forgery import go_on_path
from parallelm.server.api import PREFIX
from parallelm.server.context import context_of
from parallelm.server.metrics import PROBLEMS
from parallelm.server.requests import request_id_of
from parallelm.warehouse.errors import QueryError, WarehouseError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

_LOG = logging.getLogger(__name__)
MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:mcenter:problem:"


class ApiProblemError(HTTPException):
    """A problem of a kind of its own, with what programs want to know of it."""

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind
        self.more = more


STATUS_OF: Final[dict[type[Exception], HTTPStatus]] = {
    errors.UnknownAccountError: HTTPStatus.NOT_FOUND,
    errors.AccountError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TaskGoesOnError: HTTPStatus.CONFLICT,
    errors.UnknownTaskError: HTTPStatus.NOT_FOUND,
    errors.LockedOutError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.SignInError: HTTPStatus.UNAUTHORIZED,
    SQLAlchemyError: HTTPStatus.SERVICE_UNAVAILABLE,
    operations.UnknownMLAppError: HTTPStatus.NOT_FOUND,
    operations.UnknownTopicError: HTTPStatus.NOT_FOUND,
    operations.UnknownAlertError: HTTPStatus.NOT_FOUND,
    operations.UnknownDeadLetterError: HTTPStatus.NOT_FOUND,
    operations.UnknownNodeError: HTTPStatus.NOT_FOUND,
    operations.UnknownRunError: HTTPStatus.NOT_FOUND,
    operations.UnknownModelError: HTTPStatus.NOT_FOUND,
    operations.UnknownAgentError: HTTPStatus.NOT_FOUND,
    operations.UnknownDecisionError: HTTPStatus.NOT_FOUND,
    operations.UnknownCaptureError: HTTPStatus.NOT_FOUND,
    UnknownRouteError: HTTPStatus.NOT_FOUND,
    NoNotificationsFileError: HTTPStatus.NOT_FOUND,
    operations.CaptureStateError: HTTPStatus.CONFLICT,
    operations.AlertNotOpenError: HTTPStatus.CONFLICT,
    operations.NoEffectError: HTTPStatus.CONFLICT,
    operations.ReplayError: HTTPStatus.CONFLICT,
    operations.ModelInUseError: HTTPStatus.CONFLICT,
    operations.ModelExistsError: HTTPStatus.CONFLICT,
    operations.DefinitionChangedError: HTTPStatus.CONFLICT,
    operations.ModelDeletedError: HTTPStatus.GONE,
    operations.ArtifactStoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    operations.NoAnswerError: HTTPStatus.GATEWAY_TIMEOUT,
    operations.OperationError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DefinitionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    QueryError: HTTPStatus.UNPROCESSABLE_ENTITY,
    TimeError: HTTPStatus.UNPROCESSABLE_ENTITY,
    schemas.CaptureFileError: HTTPStatus.UNPROCESSABLE_ENTITY,
    schemas.EncodeError: HTTPStatus.UNPROCESSABLE_ENTITY,
    schemas.SchemaError: HTTPStatus.SERVICE_UNAVAILABLE,
    WarehouseError: HTTPStatus.SERVICE_UNAVAILABLE,
    clickhouse_errors.Error: HTTPStatus.SERVICE_UNAVAILABLE,
    EOFError: HTTPStatus.SERVICE_UNAVAILABLE,
    ConnectionError: HTTPStatus.SERVICE_UNAVAILABLE,
    TimeoutError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The nearest class of an error's own line of classes counts."""


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    kind: str = "",
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Response:
    """An error as the one who asked can read it: a page for a browser, else problem details.

    ``kind`` names what is wrong more closely than the status does.
    """
    body = {
        "type": f"{TYPE_PREFIX}{kind or _kebab(HTTPStatus(status).phrase)}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "instance": request.url.path,
        "request_id": request_id_of(request),
        **more,
    }
    if is_for_a_person(request):
        from parallelm.server.pages.rendering import render

        return render(request, "problem.html", {"problem": body}, status_code=int(status), headers=headers)
    return JSONResponse(body, int(status), headers=headers, media_type=MEDIA_TYPE)


def is_for_a_person(request: Request) -> bool:
    """Whether the answer is shown in a browser."""
    return not request.url.path.removeprefix(request.scope.get("root_path", "")).startswith(PREFIX) and (
        "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers
    )


def status_of(error: Exception) -> HTTPStatus:
    """By the table; 500 for what is not in it."""
    return next(
        (STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def reason_of(error: Exception, doing: str) -> str:
    """An error in words for who asked; of a fault of ours the log has the rest."""
    if status_of(error) is not HTTPStatus.INTERNAL_SERVER_ERROR:
        return _in_short(error) if status_of(error) is HTTPStatus.SERVICE_UNAVAILABLE else str(error)
    PROBLEMS.inc()
    _LOG.error("%s failed", doing, exc_info=error)
    return f"the server made a mistake; its log has the reason under {doing}"


def is_nothing_done(error: Exception) -> bool:
    """Whether an action that ended so was refused before anything was done."""
    status = error.status_code if isinstance(error, HTTPException) else status_of(error)
    return status < HTTPStatus.INTERNAL_SERVER_ERROR


def add_problem_handlers(app: FastAPI) -> None:
    """Let the application answer errors in this form."""
    for kind in STATUS_OF:
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unknown)


def _known(request: Request, error: Exception) -> Response:
    status = status_of(error)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        _LOG.warning("%s: %s", request_id_of(request), str(error).partition("Stack trace")[0])
        return problem(request, status, _in_short(error), headers={"Retry-After": "5"})
    mistaken = error if isinstance(error, DefinitionError) else error.__cause__
    more: dict[str, Any] = {"errors": _mistakes_of(mistaken)} if isinstance(mistaken, DefinitionError) else {}
    return problem(request, status, str(error), kind=kind_of(type(error)), **more)


def _mistakes_of(error: DefinitionError) -> list[dict[str, Any]]:
    return [
        {"where": error.source, "message": each.message, "line": each.line, "column": each.column}
        for each in error.problems
    ]


def kind_of(error: type[Exception]) -> str:
    """Last part of a problem's type: the error's name in words."""
    return _kebab(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", error.__name__.removesuffix("Error")))


def _kebab(words: str) -> str:
    return words.lower().replace(" ", "-")


def _in_short(error: Exception) -> str:
    """Of an error of a driver its first line: the rest is for its developers."""
    lines = [line for line in str(error).partition("Stack trace")[0].splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if error.status_code == HTTPStatus.UNAUTHORIZED and is_for_a_person(request):
        return _to_sign_in(request)
    if error.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        _note_refusal(request, str(error.detail))
    kind, more = (error.kind, error.more) if isinstance(error, ApiProblemError) else ("", {})
    return problem(
        request, error.status_code, str(error.detail), kind=kind, headers=dict(error.headers or {}), **more
    )


def _note_refusal(request: Request, reason: str) -> None:
    """For the audit log; not that somebody has not signed in yet."""
    context = context_of(request)
    asking = context.authenticate(request)
    if asking is None and bearer(request) is None:
        return
    author = Author("", NOBODY) if asking is None else asking.author
    address = request.client.host if request.client else ""
    target = f"{request.method} {request.url.path}"
    context.audit.refused(author, "refuse", target, reason=reason, address=address)


def _to_sign_in(request: Request) -> Response:
    """Sign in and come back; htmx must not put the sign-in page into a part of another one."""
    path = f"{request.scope.get('root_path', '')}/sign-in?{urlencode({'next': go_on_path(request)})}"
    if "hx-request" in request.headers:
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": path})
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    mistakes = [
        {"where": ".".join(str(part) for part in each["loc"]), "message": each["msg"]}
        for each in error.errors()
    ]
    detail = "; ".join(f"{each['where']}: {each['message']}" for each in mistakes)
    return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, kind="invalid-request", errors=mistakes)


def _unknown(request: Request, error: Exception) -> Response:
    PROBLEMS.inc()
    _LOG.error("%s failed", request_id_of(request), exc_info=error)
    detail = "the server made a mistake; its log has the reason under the request id"
    return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)
