"""``mcenter query``: run SQL on the warehouse."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.results import result_options, write_result

_ROWS_WANTED = re.compile(r"\s*INSERT\b(?!.*\bSELECT\b)", re.IGNORECASE | re.DOTALL)
"""A server that is asked this waits for rows, which this command has none of."""


@click.command()
@click.argument("sql")
@click.option("--write", is_flag=True, help="Let the statement change the warehouse, as its administrator.")
@result_options
def query(sql: str, format_: str, output: Path | None, *, write: bool) -> None:
    """Run SQL on the warehouse and print the result; `-` reads it from the standard input.

    Every table and column explains itself: `mcenter query "SHOW TABLES"`,
    `mcenter query "DESCRIBE TABLE statistics"`. All times are UTC. Nothing is changed unless --write asks for it.
    """
    from parallelm.warehouse.queries import query_frame

    settings = load_settings(role="admin" if write else "reader")
    text = click.get_text_stream("stdin").read() if sql == "-" else sql
    if not text.strip():
        raise click.UsageError("there is no SQL to run")
    if _ROWS_WANTED.match(text):
        raise click.UsageError(
            "INSERT works only with a SELECT here; KPIs come in by `mcenter kpi upload`, reports by components"
        )
    with reported_in_one_line(settings):
        frame = query_frame(settings, text)
    write_result(frame, format_, output)
