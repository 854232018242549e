"""``mcenter audit``: list who has done what."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.time_option import TIME

_SHORT = ["event_time", "who", "authenticated_by", "action", "mlapp_id", "target", "comment"]
_USUAL = 100


@click.command()
@click.option("--mlapp", "mlapp_id", help="Only what was done to this MLApp; * is what belongs to none.")
@click.option("--who", help="Only what this one has done.")
@click.option("--action", help="Only this action: approve, silence, refuse, create_token, …")
@click.option("--target", help="Only what was done to this alert, silence, account, …")
@click.option("--from", "start", type=TIME, help="Only from this time on: 2026-03-01.")
@click.option("--to", "end", type=TIME, help="Only before this time.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=_USUAL, show_default=True, help="At most so many."
)
@result_options
def audit(
    mlapp_id: str | None,
    who: str | None,
    action: str | None,
    target: str | None,
    start: str | None,
    end: str | None,
    limit: int,
    format_: str,
    output: Path | None,
) -> None:
    """List what people and programs have done, the latest first, and how it is known that it was they.

    It asks ClickHouse, as whatever only reads does, and needs a user that may read the table actions.
    """
    from parallelm.warehouse.queries import Keyset
    from parallelm.warehouse.queries.audit import action_log

    settings = load_settings()
    latest = Keyset(order=("ingested_at", "_partition", "_offset"), descending=True, limit=limit)
    with reported_in_one_line(settings):
        found = action_log(
            settings,
            mlapp_id=mlapp_id,
            who=who,
            action=action,
            target=target,
            start=start,
            end=end,
            page=latest,
        )
    shown = [name for name in found.columns if not name.startswith("_")]
    write_result(found[_SHORT if format_ == "table" else shown], format_, output)
