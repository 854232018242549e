"""A row of an MLApp, or of a label's value, in every table that stores any."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from fastavro import schemaless_writer

from parallelm.warehouse.erasure import KEPT

if TYPE_CHECKING:
    from clickhouse_driver import Client

UNIQUE = {"insert_deduplicate": 0, "async_insert": 0}
_STORED = (
    "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND default_kind != 'MATERIALIZED'"
    " AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')"
)


def stored_columns(client: Client) -> dict[str, dict[str, str]]:
    """Types of columns by table, of all that is written."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in client.execute(_STORED):
        found.setdefault(table, {})[column] = kind
    return found


def avro_map(labels: dict[str, str]) -> bytes:
    """As in a record that could not be handled."""
    written = io.BytesIO()
    schemaless_writer(written, {"type": "map", "values": "string"}, labels)
    return written.getvalue()


def value_of(column: str, kind: str, text: str, at_ms: int) -> str:
    """A row's value: whatever names an MLApp or a label's value says ``text``."""
    if column.startswith("pipelines.") and not column.endswith("mlapp_id"):
        inner = kind.removeprefix("Array(")[:-1].replace("'", "\\'")
        return f"[defaultValueOfTypeName('{inner}')]"
    known = {
        "ingested_at": f"fromUnixTimestamp64Milli({at_ms})",
        "mlapp_id": f"'{text}'",
        "mlapp_ids": f"['{text}']",
        "pipelines.mlapp_id": f"['{text}']",
        "key": f"'{text}/node//host'",
        "value": f"unhex('{avro_map({'customer': text}).hex()}')",
    }
    return known.get(column, f"map('customer', '{text}', 'other', 'x')")


def fill(client: Client, text: str, at_ms: int) -> set[str]:
    """One row in every table that is not filled by another one; returns the tables."""
    filled = set()
    for table, columns in stored_columns(client).items():
        if table in KEPT or table in {"statistics_by_day_state", "histograms"}:
            continue
        wanted = {
            column: kind
            for column, kind in columns.items()
            if column == "ingested_at"
            or re.search(r"mlapp|labels|^pipelines\.", column)
            or (table == "dead_letters_log" and column in {"key", "value"})
        }
        names = ", ".join(f"`{column}`" for column in wanted)
        values = ", ".join(value_of(column, kind, text, at_ms) for column, kind in wanted.items())
        client.execute(f"INSERT INTO {table} ({names}) SELECT {values}", settings=UNIQUE)
        filled.add(table)
    return filled
