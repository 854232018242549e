"""The contract: OpenAPI 3.1 with problems, ways to authenticate, and names from which clients are generated."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

from parallelm.server.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from fastapi import FastAPI

PROBLEM_STATUSES: Final = (400, 401, 403, 404, 409, 412, 413, 422, 429, 502, 503, 504)
DESCRIPTION: Final = """\
What a page does, and the command, a program does here.

- Authenticate with `Authorization: Bearer <token>`.
- Lists come in pages: `next_cursor`, also as `Link` with `rel="next"`, asks for the next one.
- What is read carries an `ETag`; `If-None-Match` with it gives 304.
- Actions take an `Idempotency-Key`: a repeat gets the first answer and does nothing again.
- Errors are problem details (RFC 9457); their `type` is stable, their `detail` is for people.
"""


class Mistake(BaseModel):
    """One mistake in what was sent."""

    where: str = Field(examples=["query.limit"])
    message: str
    line: int | None = None
    column: int | None = None


class Problem(BaseModel):
    """Why something was not done: RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="Stable name of the kind of problem.", examples=["urn:mcenter:problem:unknown-alert"]
    )
    title: str
    status: int
    detail: str = Field(description="What is wrong and what to do, for people.")
    instance: str
    request_id: str
    errors: list[Mistake] = []


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in PROBLEM_STATUSES
}
_SECURITY: Final = {"token": {"type": "http", "scheme": "bearer"}}
"""Of programs. Pages use the same calls with the session of their browser."""


def operation_id(route: Any) -> str:
    """The handler's name: what a generated client calls it."""
    return str(route.name)


def add_contract(app: FastAPI) -> None:
    """Let the application describe itself."""

    def contract() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _made(app)
        return app.openapi_schema

    app.openapi = contract  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _made(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        openapi_version="3.1.0",
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {**problem.pop("$defs"), "Problem": problem}
    made["components"]["securitySchemes"] = _SECURITY
    made["security"] = [{name: []} for name in _SECURITY]
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            if path.endswith(("/health", "/v1/tokens")):
                operation["security"] = []
            elif method == "get":
                operation["responses"].setdefault("304", {"description": "Not modified"})
    return made
