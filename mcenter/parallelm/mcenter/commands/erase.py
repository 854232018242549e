"""``mcenter erase``: remove an MLApp, or the rows with a label, for good, and say how long Kafka still holds it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.answer_options import WHO
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.key_values import KEY_VALUE
from parallelm.mcenter.not_empty import not_empty
from parallelm.mcenter.tables import as_table
from parallelm.mcenter.terminal import echo, echo_lines, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.connections import Settings
    from parallelm.operations.acting.erasing import HeldRecords
    from parallelm.operations.erasing import Found, Place
    from parallelm.warehouse.erasure import Selection


@click.command()
@click.option(
    "--mlapp", "mlapp_id", callback=not_empty, help="Everything of this MLApp, its definition included."
)
@click.option(
    "--label", type=KEY_VALUE, metavar="NAME=VALUE", help="Rows of all MLApps with this value of a label."
)
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@WHO
@click.option("--comment", default="", help="Why.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1, max=86_400),
    default=120.0,
    show_default=True,
    help="Seconds to wait for processors, and for sinks to store what is on its way.",
)
def erase(
    *,
    mlapp_id: str | None,
    label: tuple[str, str] | None,
    dry_run: bool,
    yes: bool,
    who: str | None,
    comment: str,
    timeout_s: float,
) -> None:
    """Remove an MLApp, or all rows with a label's value, for good. Stop what reports it before.

    Rows, files of models, captures, the definition, what processors remember, silences and roles go. The audit log keeps a
    record of how much went, and this tells until when Kafka still holds it. What was cut short is finished by running it again.
    """
    from parallelm.operations.acting.erasing import erase_actions
    from parallelm.warehouse.erasure import OfLabel, OfMLApp

    if (mlapp_id is None) == (label is None):
        raise click.UsageError("name either --mlapp ID or --label NAME=VALUE")
    selection: Selection = OfMLApp(mlapp_id) if mlapp_id is not None else OfLabel(*(label or ("", "")))
    settings = load_settings(role="admin")
    actions, places = erase_actions(settings, who), lambda: _places(settings, selection)
    with reported_in_one_line(settings):
        if dry_run or not yes:
            preview = actions.preview(selection, places)
            _show_found(preview.found)
        if dry_run:
            _show_held(preview.held)
            return
        if not yes:
            click.confirm(visible(f"erase all of this, of {selection}, for good?"), abort=True)
        done = actions.erase(
            selection,
            places,
            comment=comment,
            timeout_s=timeout_s,
            on_step=lambda step: echo(f"… {step}", err=True),
        )
    echo(f"erased {selection}; the audit log has a record of it, by {done.by}")
    _show_counts(done.rows, done.things)
    _show_held(done.held)
    if done.since:
        rows = ", ".join(f"{count} in {table}" for table, count in done.since.items())
        echo(f"rows have come meanwhile: {rows}; stop what reports them, and erase again", err=True)


@contextmanager
def _places(settings: Settings, selection: Selection) -> Iterator[Sequence[Place]]:
    """Of the server: its database, where there is one that commands here reach."""
    from parallelm.server.accounts.audit import AuditLog
    from parallelm.server.accounts.database import Database, is_there
    from parallelm.server.accounts.erasing import places
    from parallelm.server.errors import ServerError

    try:
        if not is_there(settings.server.database_url):
            yield ()
            return
        database = Database(settings.server.database_url)
        audit = AuditLog(database, settings)
        try:
            yield places(database, audit, selection)
        finally:
            audit.close()
            database.close()
    except ServerError as error:
        raise click.ClickException(str(error)) from error


def _show_found(found: Found) -> None:
    _show_counts(found.rows, found.things)
    if found.is_defined:
        echo("it has a definition")
    if found.is_nothing:
        echo("there is nothing of it")


def _show_counts(rows: Mapping[str, int], things: Mapping[str, int]) -> None:
    counts = [{"what": f"rows of {table}", "count": count} for table, count in rows.items()]
    counts += [{"what": what, "count": count} for what, count in things.items() if count]
    if counts:
        echo_lines(as_table(counts))


def _show_held(held: Sequence[HeldRecords]) -> None:
    echo("")
    echo("Kafka holds what it has of it until its topics' settings remove it, at the latest:")
    rows = [
        {
            "topic": each.topic,
            "holds": each.holds,
            "until": f"{each.until:%Y-%m-%d %H:%M} UTC" if each.until else "",
            "by": each.why,
        }
        for each in held
    ]
    echo_lines(as_table(rows))
    echo(
        "Agents' hosts keep folders of runs until they are older than `logs: keep` of their node, 7 days by default."
    )
    echo("Backups made before still have it, and bring it back when they are restored: delete those, too.")
