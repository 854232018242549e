"""How long rows of each class of data are kept: what the settings ask for, what the tables have, and how to bring them together.

Rows are deleted a given number of days after they have arrived (``ingested_at``), never by event time: a KPI of last year
must not vanish on arrival. 0 days mean for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.cluster import local_table, on_cluster
from parallelm.warehouse.errors import RetentionError

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import RetentionSettings, Settings

CLASSES: dict[str, tuple[str, ...]] = {
    "statistics_days": ("statistics",),
    "statistics_by_day_days": ("statistics_by_day_state",),
    "structured_statistics_days": ("structured_statistics", "histograms"),
    "predictions_days": ("predictions", "actuals"),
    "events_days": ("events",),
    "kpis_days": ("kpis",),
    "decisions_days": (
        "alert_transitions_log",
        "actions",
        "notifications",
    ),
    "agents_days": ("agents",),
    "runs_days": ("run_transitions_log",),
    "logs_days": ("logs",),
    "dead_letters_days": ("dead_letters_log",),
    "ingested_blocks_days": ("ingested_blocks",),
}
"""Tables of each setting of section ``retention``."""
KEPT_FOR_EVER = ("deployment_transitions_log", "models_log", "mlapps")
"""Without a setting: they say which model is live and which definition holds, however long ago that was decided."""
LETTERS_OUTSTAY_DAYS = 32
"""Dead letters are deleted by whole months: so much later than those that arrive last in one."""
_ARRIVAL = dict.fromkeys(("statistics_by_day_state", "ingested_blocks"), "last_ingested_at")
_DAYS = {"Day": 1, "Week": 7, "Month": 30, "Quarter": 91, "Year": 365}
_TTL = re.compile(r" TTL toDateTime\((\w+)\) \+ toInterval(\w+)\((\d+)\)(?= SETTINGS|$)")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a table keeps its rows."""

    setting: str
    """Empty where there is none: the table keeps its rows for ever."""
    table: str
    wanted_days: int
    """As the settings ask; 0: for ever."""
    current_days: int | None
    """As the table has it; 0: for ever; None: by a rule that this code did not make."""

    @property
    def differs(self) -> bool:
        """Whether the table is not as the settings ask."""
        return self.wanted_days != self.current_days


def retention(settings: Settings) -> list[Retention]:
    """What is asked for and what is so, of every table that the database has; raises the driver's errors."""
    with clickhouse_client(settings.clickhouse) as client:
        return _compared(client, settings)


def check_retention(wanted: RetentionSettings) -> None:
    """Raise ``RetentionError`` where dead letters outlive what people answered to them: they would be open again, and replayed twice."""
    answers, letters = wanted.decisions_days, wanted.dead_letters_days
    if not answers or (letters and letters + LETTERS_OUTSTAY_DAYS <= answers):
        return
    kept = f"{letters} days" if letters else "for ever"
    remedy = (
        f"set decisions_days to 0 (for ever) or to {letters + LETTERS_OUTSTAY_DAYS} or more"
        if letters
        else "set decisions_days to 0 (for ever), too"
    )
    if answers > LETTERS_OUTSTAY_DAYS:
        remedy += f", or dead_letters_days to {answers - LETTERS_OUTSTAY_DAYS} or less"
    raise RetentionError(
        f"dead letters are kept {kept} (dead_letters_days), and the answers to them only {answers} days (decisions_days): letters that "
        f"were replayed or dropped would be open again, and a second replay would add their rows once more. In section [retention], {remedy}"
    )


def apply_retention(settings: Settings) -> list[Retention]:
    """Give every table the retention of the settings; returns those that differed, as they were before.

    Shortening it deletes rows: ClickHouse drops what is older at its next merge. Raises ``RetentionError`` as ``check_retention`` does.
    """
    check_retention(settings.retention)
    cluster = settings.clickhouse.cluster
    with clickhouse_client(settings.clickhouse) as client:
        changed = [each for each in _compared(client, settings) if each.differs]
        for each in changed:
            column = _ARRIVAL.get(each.table, "ingested_at")
            change = (
                f"MODIFY TTL toDateTime({column}) + toIntervalDay({each.wanted_days})"
                if each.wanted_days
                else "REMOVE TTL"
            )
            client.execute(f"ALTER TABLE {local_table(each.table, cluster)} {on_cluster(cluster)} {change}")
    return changed


def _compared(client: Client, settings: Settings) -> list[Retention]:
    engines = dict(
        client.execute("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()")
    )
    wanted = [
        (setting, table, getattr(settings.retention, setting))
        for setting, tables in CLASSES.items()
        for table in tables
    ]
    return [
        Retention(setting, table, days, current_days(engines[local]))
        for setting, table, days in (*wanted, *(("", table, 0) for table in KEPT_FOR_EVER))
        if (local := local_table(table, settings.clickhouse.cluster)) in engines
    ]


def current_days(engine: str) -> int | None:
    """Days after arrival of a table's engine as the server prints it; 0 without TTL, None for any other rule."""
    if " TTL " not in engine:
        return 0
    found = _TTL.search(engine)
    if found is None or found[1] not in {"ingested_at", "last_ingested_at"} or found[2] not in _DAYS:
        return None
    return int(found[3]) * _DAYS[found[2]]
