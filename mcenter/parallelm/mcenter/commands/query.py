"""``mcenter query``: run SQL on the warehouse."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.results import result_options, write_result
from parallelm.operations.errors import QuestionError
from parallelm.operations.questions import ask


@click.command()
@click.argument("sql")
@click.option("--write", is_flag=True, help="Let the statement change the warehouse, as its administrator.")
@result_options
def query(sql: str, format_: str, output: Path | None, *, write: bool) -> None:
    """Run SQL on the warehouse and print the result; `-` reads it from the standard input.

    Every table and column explains itself: `mcenter query "SHOW TABLES"`,
    `mcenter query "DESCRIBE TABLE statistics"`. All times are UTC. Nothing is changed unless --write asks for it.
    """
    settings = load_settings(role="admin" if write else "reader")
    text = click.get_text_stream("stdin").read() if sql == "-" else sql
    try:
        with reported_in_one_line(settings):
            frame = ask(settings, text)
    except QuestionError as error:
        raise click.UsageError(str(error)) from error
    write_result(frame, format_, output)
