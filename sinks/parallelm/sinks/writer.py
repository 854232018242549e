"""Connections to ClickHouse, one a shard, through which blocks are inserted: each completely and once, or not at all."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any

from clickhouse_driver import errors as driver_errors

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.sinks.blocks import MAX_BLOCK_SAMPLES
from parallelm.sinks.errors import (
    DatabaseRefusesError,
    DatabaseUnavailableError,
    InsertRefusedError,
    SinkError,
)
from parallelm.sinks.native import NativeBlock
from parallelm.sinks.native_insert import insert_native
from parallelm.sinks.server_errors import Kind, kind_of
from parallelm.warehouse.cluster import local_table
from parallelm.warehouse.ingestion import (
    answered_letters_query,
    insert_statement,
    last_offset_query,
    letters_query,
    range_count_query,
    sync_statement,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_driver import Client

    from parallelm.connections import ClickHouseSettings
    from parallelm.connections.shards import ShardMap
    from parallelm.sinks.blocks import OffsetRange
    from parallelm.sinks.rows import Rows, Source

_UNSPLIT_ROWS = 10 * MAX_BLOCK_SAMPLES

# Everything that decides how the server cuts an insert into parts is stated here: a server whose defaults differ
# from those of the first attempt would otherwise double a replayed block.
_INSERT_SETTINGS: dict[str, Any] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_insert_block_size": _UNSPLIT_ROWS,
    "max_block_size": _UNSPLIT_ROWS,
    "min_insert_block_size_rows": _UNSPLIT_ROWS,
    "min_insert_block_size_bytes": 0,
    "min_insert_block_size_rows_for_materialized_views": _UNSPLIT_ROWS,
    "min_insert_block_size_bytes_for_materialized_views": 0,
    "max_insert_threads": 1,
    "max_threads": 1,
    "parallel_view_processing": 0,
    # Rows of a rollup are grouped already, and many groups must not be cut into as many parts.
    "optimize_on_insert": 0,
    "group_by_two_level_threshold": 0,
    "group_by_two_level_threshold_bytes": 0,
    "materialized_views_ignore_errors": 0,
    # An upload that spans centuries is one insert too: the rollup has a partition a year.
    "max_partitions_per_insert_block": 0,
}

# Of a replicated table every insert that a quorum has confirmed is seen; elsewhere it changes nothing.
_QUESTION_SETTINGS: dict[str, Any] = {"select_sequential_consistency": 1}

_CANNOT_BE_ENCODED = (driver_errors.TypeMismatchError, struct.error, ValueError, TypeError)
"""The driver's words for a value that its column does not hold."""


class Writer:
    """Inserts blocks. For one thread; connects when needed, and again after an error."""

    def __init__(self, clickhouse: ClickHouseSettings, shards: ShardMap, max_execution_s: float) -> None:
        self._clickhouse = clickhouse
        self._shards = shards
        self._max_execution_s = max_execution_s
        self._clients: dict[str, Client] = {}

    def insert(self, rows: Rows, token: str, shard: str) -> None:
        """Insert ``rows`` under a deduplication token on one shard, by any of its hosts: tokens hold for its replicas only.

        Raises ``DatabaseUnavailableError`` when it is not known to have succeeded, and ``InsertRefusedError`` when the
        server has answered that it did not: the same rows may then be sent again under the same token, any number of
        times. Raises ``DatabaseRefusesError`` when nothing can be written with these settings.
        """
        settings = _INSERT_SETTINGS | {
            "insert_deduplication_token": token,
            "insert_block_size": _UNSPLIT_ROWS,
            "max_execution_time": max(1, int(self._max_execution_s)),
        }
        statement = insert_statement(
            local_table(rows.into or rows.table, self._clickhouse.cluster), rows.columns
        )
        data = rows.data
        if isinstance(data, NativeBlock):
            self._attempt(statement, lambda client: insert_native(client, statement, data, settings), shard)
        else:
            self._execute(shard, statement, data, columnar=True, settings=settings)

    def count(self, table: str, offsets: OffsetRange, ingested_ms: tuple[int, int], shard: str) -> int:
        """Rows of a range of offsets in ``table`` on one shard; ``ingested_ms`` are the first and last arrival in it."""
        parameters = {
            "topic_id": offsets.topic_id,
            "partition": offsets.partition,
            "first": offsets.first,
            "last": offsets.last,
            "since": ingested_ms[0],
            "until": ingested_ms[1],
        }
        limit = {"max_execution_time": max(1, int(self._max_execution_s))}
        [(count,)] = self._ask(shard, range_count_query, table, parameters, limit)
        return int(count)

    def last_offset(self, table: str, source: Source, retention_ms: int) -> int | None:
        """Highest offset of a partition with a row in ``table``, on any shard, since the map may have been another one.

        Rows older than the topic's retention are ignored.
        """
        since_ms = time.time_ns() // 1_000_000 - retention_ms if retention_ms >= 0 else 0
        parameters = {"topic_id": source.topic_id, "partition": source.partition, "since": since_ms}
        answers = [
            self._ask(shard.name, last_offset_query, table, parameters, {}) for shard in self._shards.shards
        ]
        return max((int(last) for ((count, last),) in answers if count), default=None)

    def letters(self, table: str, topic: str, offsets: OffsetRange, group: str) -> set[str]:
        """Ids of the dead letters of a range of offsets, on any shard."""
        parameters = {
            "topic": topic,
            "topic_id": offsets.topic_id,
            "partition": offsets.partition,
            "first": offsets.first,
            "last": offsets.last,
            "group": group,
        }
        return self._ask_all(letters_query, table, parameters)

    def answered(self, table: str) -> set[str]:
        """Ids of all dead letters that were answered, on any shard."""
        return self._ask_all(answered_letters_query, table, {})

    def close(self) -> None:
        """Drop the connections."""
        for shard in list(self._clients):
            self._close(shard)

    def _close(self, shard: str) -> None:
        self._clients.pop(shard).disconnect()

    def _ask(
        self, shard: str, query: Callable[[str], str], table: str, parameters: Any, limits: dict[str, Any]
    ) -> Any:
        """Ask for something that decides what is inserted: a replica that lags behind the others must not answer."""
        table = local_table(table, self._clickhouse.cluster)
        if self._clickhouse.cluster:
            self._execute(shard, sync_statement(table))
        return self._execute(shard, query(table), parameters, settings=_QUESTION_SETTINGS | limits)

    def _ask_all(self, query: Callable[[str], str], table: str, parameters: Any) -> set[str]:
        limit = {"max_execution_time": max(1, int(self._max_execution_s))}
        answers = [self._ask(shard.name, query, table, parameters, limit) for shard in self._shards.shards]
        return {found for rows in answers for (found,) in rows}

    def _execute(self, shard: str, query: str, *arguments: Any, **options: Any) -> Any:
        return self._attempt(query, lambda client: client.execute(query, *arguments, **options), shard)

    def _attempt(self, query: str, use: Callable[[Client], Any], shard: str) -> Any:
        place = self._place(shard)
        if shard not in self._clients:
            self._clients[shard] = clickhouse_client(
                place, send_receive_timeout=self._max_execution_s + 1, sync_request_timeout=2
            )
        try:
            return use(self._clients[shard])
        except driver_errors.ServerException as error:
            self._close(shard)
            raise _refusal(place, query, error, kind_of(error.code)) from error
        except _CANNOT_BE_ENCODED as error:
            self._close(shard)
            raise _refusal(place, query, error, Kind.POISON) from error
        except (driver_errors.Error, OSError, EOFError) as error:
            self._close(shard)
            raise DatabaseUnavailableError(_what(place, query, error)) from error
        except BaseException:
            self._close(shard)
            raise

    def _place(self, name: str) -> ClickHouseSettings:
        shard = self._shards.named(name)
        if shard is None:
            raise SinkError(f"[clickhouse] shards has no shard {name!r}")
        return shard.reached_by(self._clickhouse)


def _refusal(
    place: ClickHouseSettings, query: str, error: Exception, kind: Kind
) -> InsertRefusedError | DatabaseRefusesError:
    what = _what(place, query, error)
    if kind is Kind.STOP:
        return DatabaseRefusesError(
            f"{what}. Check user, password, rights and database in the settings, then start the sink again: it "
            "continues where it stopped"
        )
    return InsertRefusedError(what, kind)


def _what(place: ClickHouseSettings, query: str, error: Exception) -> str:
    return f"ClickHouse at {place.host}:{place.port} did not take {query.partition(' (')[0]!r}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Code: ")]
    summary = lines[0] if lines else str(error).strip().replace("\n", " ")
    return f"{type(error).__name__}: {summary[:400]}"
