"""Manual changes: finds tables and views that differ from what the migrations made, and restores views.

Definitions are compared as the server prints them, both formatted by its current version. Retention (TTL) is the
operator's choice and is not compared. Views hold no rows and are recreated; a table is only reported.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.cluster import on_cluster
from parallelm.warehouse.errors import MigrationError
from parallelm.warehouse.migrations import make_records, packaged_migrations, record_forms, status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_driver import Client

    from parallelm.connections import Settings
    from parallelm.warehouse.migrations import Migration

FORMS_TABLE = "schema_objects"
_VIEWS = {"View": "view", "MaterializedView": "materialized view"}
_CLAUSE = re.compile(r"^[A-Z(]")
_SHOWN_LINES = 3
_PUTS_BACK = "`mcenter warehouse repair` puts it back"


class Problem(StrEnum):
    """What is wrong with a table or view."""

    MISSING = "missing"
    ALTERED = "altered"


@dataclass(frozen=True, slots=True)
class Difference:
    """A table or view that is not what the migrations made of it."""

    name: str
    kind: str
    """``table``, ``view`` or ``materialized view``: what it should be."""
    problem: Problem
    detail: str
    """What differs, and what follows from it; may be empty."""
    remedy: str
    repairable: bool
    """Whether ``repair`` puts it back without loss of rows."""

    @property
    def what(self) -> str:
        """Which one it is, and what is wrong."""
        found = f"{self.kind} {self.name} is {self.problem}"
        return f"{found}: {self.detail}" if self.detail else found

    def __str__(self) -> str:
        return f"{self.what}. {self.remedy[0].upper()}{self.remedy[1:]}"


@dataclass(frozen=True, slots=True)
class _Form:
    engine: str
    text: str

    @property
    def kind(self) -> str:
        return _VIEWS.get(self.engine, "table")

    @property
    def lines(self) -> list[str]:
        """Its definition without TTL, a clause or column a line."""
        lines, in_ttl = [], False
        for line in self.text.splitlines():
            if _CLAUSE.match(line):
                in_ttl = line.startswith("TTL ")
            if not in_ttl:
                lines.append(line.strip())
        return lines


def drift(settings: Settings) -> list[Difference]:
    """Differences between the database and what its migrations made, by name; nothing for a database without any."""
    applied = status(settings).applied
    if not applied:
        return []
    with clickhouse_client(settings.clickhouse) as client:
        found = _current(client)
        made = _recorded(client) if FORMS_TABLE in found else {}
        if unrecorded := _names(applied, settings) - set(made):
            detail = f"there is no record of {', '.join(sorted(unrecorded))}, so that they cannot be compared"
            remedy = "look at them yourself, then `mcenter warehouse repair --accept all`"
            return [Difference(FORMS_TABLE, "table", Problem.MISSING, detail, remedy, repairable=False)]
        differences = [
            _difference(client, name, form, found.get(name)) for name, form in sorted(made.items())
        ]
    return [difference for difference in differences if difference]


def repair(settings: Settings) -> list[Difference]:
    """Recreate the views that are missing or altered; returns what was restored.

    Call it while no sink inserts: rows that arrive while a materialized view does not exist are missing in the table
    that it fills. Tables stay as they are.
    """
    wanted = [difference for difference in drift(settings) if difference.repairable]
    with clickhouse_client(settings.clickhouse) as client:
        for difference in wanted:
            client.execute(f"DROP VIEW IF EXISTS {difference.name} {on_cluster(settings.clickhouse.cluster)}")
        for difference in wanted:
            _make(client, difference.name, settings.clickhouse.cluster)
    return wanted


def make_empty(settings: Settings, name: str) -> None:
    """Make a table that is missing again, without the rows it had; raises ``MigrationError`` when it is not missing."""
    if not any(each.name == name and each.problem is Problem.MISSING for each in drift(settings)):
        raise MigrationError(f"{name} is not a missing table: nothing was made")
    with clickhouse_client(settings.clickhouse) as client:
        _make(client, name, settings.clickhouse.cluster)


def accept(settings: Settings, names: Sequence[str]) -> list[str]:
    """Accept the current definitions of these, ``["all"]`` for every one; returns the names.

    Raises ``MigrationError`` for a name that no migration made.
    """
    applied = status(settings).applied
    known = _names(applied, settings)
    chosen = sorted(known) if list(names) == ["all"] else list(names)
    if unknown := sorted(set(chosen) - known):
        raise MigrationError(f"no migration makes {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    with clickhouse_client(settings.clickhouse) as client:
        make_records(client, settings.clickhouse.cluster)
        record_forms(client, applied[-1].version, chosen, accepted=True)
    return chosen


def _current(client: Client) -> dict[str, _Form]:
    rows = client.execute(
        "SELECT name, engine, ifNull(formatQueryOrNull(create_table_query), create_table_query)"
        " FROM system.tables WHERE database = currentDatabase()"
    )
    return {name: _Form(engine, text) for name, engine, text in rows}


def _recorded(client: Client) -> dict[str, _Form]:
    """The last migration's form of each, or what was accepted after it. Of two processes' records the earlier counts."""
    rows = client.execute(
        f"""
        SELECT name, last.1, ifNull(formatQueryOrNull(last.2), last.2)
        FROM
        (
            SELECT
                name,
                argMax(
                    (engine, create_query),
                    (version, accepted, if(accepted, 1, -1) * toUnixTimestamp64Milli(recorded_at))
                ) AS last
            FROM {FORMS_TABLE}
            GROUP BY name
        )
        """  # noqa: S608 - the table's name is a constant
    )
    return {name: _Form(engine, text) for name, engine, text in rows}


def _difference(client: Client, name: str, made: _Form, found: _Form | None) -> Difference | None:
    if not made.engine:  # removed by a migration, or accepted as gone
        return None
    if found is None:
        return _missing(client, name, made)
    if made.lines == found.lines:
        return None
    changes = [line for line in difflib.ndiff(made.lines, found.lines) if line.startswith(("- ", "+ "))]
    shown = "; ".join(line[:160] for line in changes[:_SHOWN_LINES])
    more = f"; and {len(changes) - _SHOWN_LINES} more lines" if len(changes) > _SHOWN_LINES else ""
    repairable = made.kind != "table" and found.kind != "table"
    by_hand = f"change it back by hand, or accept it: `mcenter warehouse repair --accept {name}`"
    remedy = _PUTS_BACK if repairable else by_hand
    return Difference(name, made.kind, Problem.ALTERED, f"{shown}{more}", remedy, repairable)


def _missing(client: Client, name: str, made: _Form) -> Difference:
    if made.kind == "table":
        detail = "its rows are lost, if it was dropped"
        remedy = (
            "attach it (`ATTACH TABLE`) where it is only detached, or restore it from a backup; without its rows "
            f"`mcenter warehouse repair --make-empty {name}` makes it"
        )
        return Difference(name, made.kind, Problem.MISSING, detail, remedy, repairable=False)
    target = (
        re.search(r"\bTO (?:[`\w]+\.)?`?(\w+)`?", made.text) if made.kind == "materialized view" else None
    )
    detail = _incomplete(client, target[1]) if target else ""
    return Difference(name, made.kind, Problem.MISSING, detail, _PUTS_BACK, repairable=True)


def _incomplete(client: Client, target: str) -> str:
    """Since when a table lacks rows because the view that fills it is missing."""
    columns = client.execute(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = %(table)s"
        " AND name IN ('ingested_at', 'last_ingested_at')",
        {"table": target},
    )
    if not columns:
        return f"{target} lacks what arrived since then"
    ((newest, rows),) = client.execute(f"SELECT max({columns[0][0]}), count() FROM {target}")  # noqa: S608 - names of the database's own
    since = f"since {newest:%Y-%m-%d %H:%M:%S} UTC" if rows else "from the beginning"
    return f"{target} is incomplete {since}: what arrived later is missing there, also after the repair"


def _make(client: Client, name: str, cluster: str) -> None:
    statements = [
        statement
        for migration in packaged_migrations()
        for statement in migration.statements_on(name, cluster)
    ]
    for statement in statements:
        client.execute(statement)


def _names(migrations: Sequence[Migration], settings: Settings) -> set[str]:
    cluster = settings.clickhouse.cluster
    return {name for migration in migrations for name in migration.names(cluster)}
