"""SQL that a person writes, on the warehouse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from parallelm.operations.errors import QuestionError

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.connections import Settings

_COMMENT_OR_TEXT = re.compile(r"--[^\n]*|/\*.*?\*/|#[ !][^\n]*|'(?:\\.|[^'\\])*'", re.DOTALL)
_ROWS_WANTED = re.compile(r"\s*INSERT\b(?!.*\bSELECT\b)", re.IGNORECASE | re.DOTALL)
"""A server that gets this waits for rows, which nobody sends here."""


def ask(
    settings: Settings, sql: str, *, most_rows: int | None = None, most_seconds: int | None = None
) -> pd.DataFrame:
    """Run one statement as the user that the settings name, and return its result; times are UTC.

    With ``most_rows`` the server stops soon after so many: a result may have some more. Raises ``QuestionError`` when there is nothing to run; the driver's errors pass through.
    """
    from parallelm.warehouse.queries import query_frame

    if not sql.strip():
        raise QuestionError("there is no SQL to run")
    if _ROWS_WANTED.match(_COMMENT_OR_TEXT.sub(" ", sql)):
        raise QuestionError(
            "INSERT works only with a SELECT here; KPIs come in by `mcenter kpis upload`, reports by components"
        )
    limits: dict[str, str | int] = {}
    if most_rows is not None:
        limits |= {"max_result_rows": most_rows + 1, "result_overflow_mode": "break"}
    if most_seconds is not None:
        limits |= {"max_execution_time": most_seconds}
    return query_frame(settings, sql, limits)
