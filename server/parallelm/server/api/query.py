"""Questions in SQL, as the user that reads."""

from __future__ import annotations

from typing import Annotated, Any, Final

from clickhouse_driver.errors import ServerException
from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from parallelm.operations.json_values import plain
from parallelm.operations.questions import ask
from parallelm.server.access.dependencies import require
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, rows
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

ROUTER: Final = resource("query")
MOST_ROWS: Final = 10_000
MOST_SECONDS: Final = 30


class QueryRequest(BaseModel):
    """One statement."""

    model_config = ConfigDict(extra="forbid")

    sql: Annotated[
        str, Field(min_length=1, max_length=100_000, examples=["SELECT mlapp_id, name FROM models"])
    ]


class QueryResult(Answer):
    """Its rows."""

    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool
    """There are more than these."""


@ROUTER.post("/query", dependencies=[Depends(require("sql.read"))])
def run_query(request: Request, question: QueryRequest) -> QueryResult:
    """Ask the warehouse; up to 10,000 rows and 30 seconds. It sees every MLApp, the audit log and dead letters."""
    try:
        found = ask(
            context_of(request).settings, question.sql, most_rows=MOST_ROWS, most_seconds=MOST_SECONDS
        )
    except ServerException as error:
        raise ApiProblemError(422, "sql", str(error.message).partition("Stack trace")[0].strip()) from error
    shown = rows(found.head(MOST_ROWS).set_axis(range(len(found.columns)), axis=1))
    return QueryResult(
        columns=[str(name) for name in found.columns],
        rows=[plain(list(row.values())) for row in shown],
        is_cut=len(found) > MOST_ROWS,
    )
