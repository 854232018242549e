"""Lines that programs wrote while agents ran them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import Conditions, limit_clause, records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._frames import OneOrMore

LinePlace = tuple[int, int]
"""Attempt and number of a line, which say where it stands in the log of a run."""

_COLUMNS = "mlapp_id, node_id, agent_id, run_id, attempt, step_id, line, dropped, event_time, stream, text"


def log_lines(
    settings: Settings,
    *,
    mlapp_id: str,
    run_id: str,
    attempt: int | None = None,
    step_id: str | None = None,
    stream: str | None = None,
    search: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    after: LinePlace | None = None,
    before: LinePlace | None = None,
    limit: int = 1_000,
) -> list[dict[str, Any]]:
    """Lines of a run in their order: the first ones after ``after``, or, without it, the last ones before ``before`` or the end.

    Keys: ``mlapp_id, node_id, agent_id, run_id, attempt, step_id, line, dropped, event_time, stream, text``; ``dropped``
    counts the lines before it that were not sent. ``search`` selects lines with this text in them, in whatever case.
    """
    where = _with_text(search).equal(
        mlapp_id=mlapp_id, run_id=run_id, attempt=attempt, step_id=step_id, stream=stream
    )
    where = where.between("event_time", start, end)
    clauses = [f"AND (attempt, line) > ({after[0]:d}, {after[1]:d})"] if after else []
    clauses += [f"AND (attempt, line) < ({before[0]:d}, {before[1]:d})"] if before else []
    direction = "" if after else "DESC"
    found = records(
        settings,
        f"""
        SELECT {_COLUMNS} FROM logs {where} {" ".join(clauses)}
        ORDER BY attempt {direction}, line {direction}, step_id {direction}
        LIMIT 1 BY attempt, line, step_id
        {limit_clause(limit)}
        """,  # noqa: S608 - our own names and numbers; values are parameters
        where.parameters,
    )
    return found if after else found[::-1]


def search_logs(
    settings: Settings,
    search: str,
    *,
    mlapp_id: OneOrMore | None = None,
    node_id: str | None = None,
    agent_id: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    limit: int = 200,
) -> list[dict[str, Any]]:
    """Lines of any run with this text in them, in whatever case, the latest first; keys as ``log_lines``."""
    where = _with_text(search).equal(mlapp_id=mlapp_id, node_id=node_id, agent_id=agent_id)
    where = where.between("event_time", start, end)
    return records(
        settings,
        f"""
        SELECT {_COLUMNS} FROM logs {where}
        ORDER BY event_time DESC, run_id, attempt DESC, line DESC
        LIMIT 1 BY run_id, attempt, line, step_id
        {limit_clause(limit)}
        """,  # noqa: S608 - our own names; values are parameters
        where.parameters,
    )


def log_sizes(settings: Settings, mlapp_id: str, run_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Lines of each run that are stored, and that its agent did not send for they were too many; runs without any are absent."""
    where = Conditions().equal(mlapp_id=mlapp_id, run_id=run_ids)
    found = records(
        settings,
        f"""
        SELECT run_id, count() AS lines, sum(dropped) AS dropped FROM (
            SELECT run_id, dropped FROM logs {where} LIMIT 1 BY run_id, attempt, line, step_id
        )
        GROUP BY run_id
        """,  # noqa: S608 - our own names; values are parameters
        where.parameters,
    )
    return {row["run_id"]: (row["lines"], row["dropped"]) for row in found}


def _with_text(search: str | None) -> Conditions:
    """Lines with a text in them, by the expression that the table's index is on."""
    return Conditions().like("lowerUTF8(text)", search.lower() if search else None)
