"""Migrations of a warehouse that sinks write to: refused while it is unknown whether an insert is in the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.warehouse import MigrationError, drift, migrate, status
from parallelm.warehouse.drift import repair

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.warehouse import Difference, Migration


def migrate_at_rest(settings: Settings) -> list[Migration]:
    """Apply pending migrations and return them.

    Raises ``MigrationError`` when a sink has left an insert unfinished, since repeating it into changed tables may duplicate
    its rows, and when Kafka cannot be asked. Kafka is asked only when there is something to change.
    """
    found = status(settings)
    if found.applied and found.pending:
        _refuse_half_done_inserts(settings)
    return migrate(settings)


def repair_at_rest(settings: Settings) -> list[Difference]:
    """Restore missing and altered views and return them; raises as above where one fills a table on inserts."""
    if any(each.repairable and each.kind == "materialized view" for each in drift(settings)):
        _refuse_half_done_inserts(settings)
    return repair(settings)


def _refuse_half_done_inserts(settings: Settings) -> None:
    from parallelm.sinks.errors import SinkError
    from parallelm.sinks.pending import pending_inserts

    try:
        pending = pending_inserts(settings)
    except SinkError as error:
        raise MigrationError(str(error)) from error
    if not pending:
        return
    places = ", ".join(f"{each.topic} [{each.intent.partition}]" for each in pending[:5])
    more = f" and {len(pending) - 5} more" if len(pending) > 5 else ""  # noqa: PLR2004 - as many as are listed
    raise MigrationError(
        f"sinks of group {pending[0].group!r} are inserting, or died while inserting: {places}{more}. Stop running "
        "sinks with SIGTERM. If none is running, start a sink of the version that wrote these tables, wait until its lag "
        "is 0, and stop it. Then migrate again"
    )
