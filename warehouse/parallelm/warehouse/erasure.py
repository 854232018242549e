"""Rows of an MLApp, or of a label's value, in every table that has them: count them and delete them for good.

Which tables these are follows from their columns, so that a new table is found as well. Rows are deleted by mutations that
rewrite the parts, not by marks on them: nothing is left in the files. A mutation that was begun goes on in the server, whatever
becomes of who asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.cluster import local_table, on_cluster
from parallelm.warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_driver import Client

    from parallelm.connections import Settings

KEPT: Final[Mapping[str, str]] = {
    "ingested_blocks": "offsets and counts of blocks of all MLApps",
    "schema_migrations": "what was applied to the database",
    "schema_objects": "definitions of tables",
}
"""Tables that hold nothing of any MLApp, and what they hold."""

_TABLES: Final = (
    "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND table IN"
    " (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE %(engines)s)"
)
_LONG_S: Final = 86_400
"""A mutation takes as long as it takes."""

BY_KEY: Final = "(key = %(mlapp_id)s OR startsWith(ifNull(key, ''), concat(%(mlapp_id)s, '/')))"
"""Keys of most records are an MLApp's id, or an origin, which begins with it."""
KEYED_OTHERWISE: Final = (
    "agents",
    "notifications",
    "agent-commands",
    "heartbeats",
    "silences",
    "dead-letters",
)
"""Topics whose keys do not name the MLApps that their records are about."""
_IN_BYTES: Final = (
    "((ifNull(key, '') = '' OR match(source_topic, %(keyed_otherwise)s))"
    " AND position(ifNull(value, ''), unhex(%(entry)s)) > 0)"
)
"""Where the key does not say, the bytes do: Avro writes the id after its length."""
OF_LETTERS: Final = "dead_letters_log"
COLUMNS_OF_MLAPPS: Final = frozenset({"mlapp_id", "mlapp_ids"})


@dataclass(frozen=True, slots=True)
class OfMLApp:
    """Everything of an MLApp."""

    mlapp_id: str

    def __str__(self) -> str:
        return f"MLApp {self.mlapp_id}"

    @property
    def values(self) -> dict[str, str]:
        """What conditions ask for."""
        topics = "|".join(KEYED_OTHERWISE)
        return {
            "mlapp_id": self.mlapp_id,
            "entry": _as_avro(self.mlapp_id).hex(),
            "keyed_otherwise": f"(^|[^a-z-])({topics})$",
        }

    def condition(self, table: str, columns: Mapping[str, str]) -> str:
        """Which rows of a table are meant; empty: it has none. ``columns`` are its types by name."""
        if table == OF_LETTERS:
            return f"{BY_KEY} OR {_IN_BYTES}"
        found = [
            f"has(`{name}`, %(mlapp_id)s)" if kind.startswith("Array") else f"`{name}` = %(mlapp_id)s"
            for name, kind in columns.items()
            if name.rpartition(".")[2] in COLUMNS_OF_MLAPPS
        ]
        return " OR ".join(found)


@dataclass(frozen=True, slots=True)
class OfLabel:
    """Rows whose labels have this value, of all MLApps."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"label {self.name}={self.value}"

    @property
    def values(self) -> dict[str, str]:
        """As above. Avro writes an entry of a map as two texts, each after its length."""
        return {
            "name": self.name,
            "value": self.value,
            "entry": (_as_avro(self.name) + _as_avro(self.value)).hex(),
        }

    def condition(self, table: str, columns: Mapping[str, str]) -> str:
        """As above. Of a dead letter, a record that is no row yet, the bytes say so."""
        if table == OF_LETTERS:
            return "position(ifNull(value, ''), unhex(%(entry)s)) > 0"
        found = [
            f"(mapContains(`{name}`, %(name)s) AND `{name}`[%(name)s] = %(value)s)"
            for name, kind in columns.items()
            if kind.startswith("Map") and (name == "labels" or name.endswith("_labels"))
        ]
        return " OR ".join(found)


Selection = OfMLApp | OfLabel


def _as_avro(text: str) -> bytes:
    """A text in Avro: its length before it, zigzag, seven bits a byte, the lowest first."""
    written = text.encode()
    found, left = bytearray(), len(written) << 1
    while left > 0x7F:  # noqa: PLR2004 - seven bits
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left]) + written


def tables_with(settings: Settings, selection: Selection) -> dict[str, str]:
    """Condition on the rows that are meant, by each table that can have some."""
    with clickhouse_client(settings.clickhouse) as client:
        return _conditions(client, settings.clickhouse.cluster, selection)


def count_rows(settings: Settings, selection: Selection) -> dict[str, int]:
    """How many rows are meant, by each table that has some; raises the driver's errors."""
    with clickhouse_client(settings.clickhouse, send_receive_timeout=_LONG_S) as client:
        found = {
            table: _count(client, table, condition, selection.values)
            for table, condition in _conditions(client, settings.clickhouse.cluster, selection).items()
        }
    return {table: count for table, count in found.items() if count}


def time_ranges(settings: Settings, selection: Selection) -> dict[str, tuple[int, int]]:
    """First and last event time of the rows that are meant, in milliseconds, by MLApp; raises the driver's errors."""
    found: dict[str, tuple[int, int]] = {}
    with clickhouse_client(settings.clickhouse, send_receive_timeout=_LONG_S) as client:
        columns = stored_columns(client, settings.clickhouse.cluster)
        for table, condition in _conditions(client, settings.clickhouse.cluster, selection).items():
            if not {"mlapp_id", "event_time"} <= set(columns[table]):
                continue
            statement = (
                f"SELECT mlapp_id, toUnixTimestamp64Milli(min({table}.event_time)), "  # noqa: S608 - of the catalogue
                f"toUnixTimestamp64Milli(max({table}.event_time)) FROM {table} WHERE {condition} GROUP BY mlapp_id"
            )
            for mlapp_id, first, last in client.execute(statement, selection.values):
                earlier = found.get(mlapp_id, (first, last))
                found[mlapp_id] = (min(first, earlier[0]), max(last, earlier[1]))
    return found


def rows_since(settings: Settings, moments: Mapping[str, int]) -> dict[str, int]:
    """How many rows Kafka took of each MLApp after its moment, in milliseconds; those with none are left out."""
    if not moments:
        return {}
    found: dict[str, int] = {}
    values = {"ids": list(moments), "moments": list(moments.values())}
    with clickhouse_client(settings.clickhouse) as client:
        for table, columns in stored_columns(client, settings.clickhouse.cluster).items():
            if not {"mlapp_id", "ingested_at"} <= set(columns):
                continue
            statement = (
                f"SELECT toString(mlapp_id) AS id, count() FROM {table} WHERE mlapp_id IN %(ids)s"  # noqa: S608 - as above
                " AND toUnixTimestamp64Milli(ingested_at) > transform(id, %(ids)s, %(moments)s, toInt64(0)) GROUP BY id"
            )
            for mlapp_id, count in client.execute(statement, values):
                found[mlapp_id] = found.get(mlapp_id, 0) + count
    return found


def delete_rows(settings: Settings, selection: Selection, until_ms: int) -> dict[str, int]:
    """Delete what Kafka took until then, on all replicas; how many rows that were, by table.

    What came later is left alone: a sink that has just inserted a block counts its rows. Aggregates of several records go
    whole. Raises ``WarehouseError`` when rows are left, and the driver's errors.
    """
    cluster = settings.clickhouse.cluster
    deleted: dict[str, int] = {}
    with clickhouse_client(settings.clickhouse, send_receive_timeout=_LONG_S) as client:
        columns = stored_columns(client, cluster)
        for table, condition in _conditions(client, cluster, selection).items():
            wanted, values = f"({condition})", dict[str, Any](selection.values)
            if "ingested_at" in columns[table]:
                wanted += " AND ingested_at <= fromUnixTimestamp64Milli(%(until_ms)s)"
                values["until_ms"] = until_ms
            if count := _count(client, table, wanted, values):
                _delete(client, table, wanted, values, cluster)
                deleted[table] = count
    return deleted


def delete_statement(table: str, condition: str, cluster: str) -> str:
    """SQL that deletes rows for good, on every shard."""
    where = f" {on_cluster(cluster)}" if cluster else ""
    return f"ALTER TABLE {local_table(table, cluster)}{where} DELETE WHERE {condition}"


def _delete(client: Client, table: str, wanted: str, values: Mapping[str, Any], cluster: str) -> None:
    client.execute(
        delete_statement(table, wanted, cluster),
        values,
        settings={"mutations_sync": 2, "distributed_ddl_task_timeout": _LONG_S},
    )
    if left := _count(client, table, wanted, values):
        raise WarehouseError(f"table {table} still has {left} rows that were to be erased: erase them again")


def _count(client: Client, table: str, condition: str, values: Mapping[str, Any]) -> int:
    statement = f"SELECT count() FROM {table} WHERE {condition}"  # noqa: S608 - names of the catalogue
    ((count,),) = client.execute(statement, values)
    return int(count)


def _conditions(client: Client, cluster: str, selection: Selection) -> dict[str, str]:
    found = {
        table: selection.condition(table, columns)
        for table, columns in stored_columns(client, cluster).items()
    }
    return {table: condition for table, condition in sorted(found.items()) if condition}


def stored_columns(client: Client, cluster: str, *, engines: str = "%MergeTree") -> dict[str, dict[str, str]]:
    """Types of columns by table, of each that stores rows; by the name under which all shards are read."""
    found: dict[str, dict[str, str]] = {}
    for stored, column, kind in client.execute(_TABLES, {"engines": engines}):
        plain = stored.removesuffix("_local")
        table = plain if local_table(plain, cluster) == stored else stored
        found.setdefault(table, {})[column] = kind
    return found
