"""One connection to ClickHouse through which blocks are inserted: each completely and once, or not at all."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any

from clickhouse_driver import errors as driver_errors

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.sinks.blocks import MAX_BLOCK_SAMPLES
from parallelm.sinks.errors import DatabaseRefusesError, DatabaseUnavailableError, InsertRefusedError
from parallelm.sinks.native import NativeBlock
from parallelm.sinks.native_insert import insert_native
from parallelm.sinks.server_errors import Kind, kind_of
from parallelm.warehouse.ingestion import insert_statement, last_offset_query, range_count_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_driver import Client

    from parallelm.connections import ClickHouseSettings
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

    def __init__(self, clickhouse: ClickHouseSettings, max_execution_s: float) -> None:
        self._clickhouse = clickhouse
        self._max_execution_s = max_execution_s
        self._client: Client | None = None

    def insert(self, rows: Rows, token: str) -> None:
        """Insert ``rows`` under a deduplication token.

        Raises ``DatabaseUnavailableError`` when it is not known to have succeeded, and ``InsertRefusedError`` when the
        server has answered that it did not: the same rows may then be sent again under the same token, any number of
        times. Raises ``DatabaseRefusesError`` when nothing can be written with these settings.
        """
        settings = _INSERT_SETTINGS | {
            "insert_deduplication_token": token,
            "insert_block_size": _UNSPLIT_ROWS,
            "max_execution_time": max(1, int(self._max_execution_s)),
        }
        statement = insert_statement(rows.table, rows.columns)
        data = rows.data
        if isinstance(data, NativeBlock):
            self._attempt(statement, lambda client: insert_native(client, statement, data, settings))
        else:
            self._execute(statement, data, columnar=True, settings=settings)

    def count(self, table: str, offsets: OffsetRange, ingested_ms: tuple[int, int]) -> int:
        """Rows of a range of offsets in ``table``; ``ingested_ms`` are the first and last arrival in it."""
        parameters = {
            "topic_id": offsets.topic_id,
            "partition": offsets.partition,
            "first": offsets.first,
            "last": offsets.last,
            "since": ingested_ms[0],
            "until": ingested_ms[1],
        }
        settings = _QUESTION_SETTINGS | {"max_execution_time": max(1, int(self._max_execution_s))}
        [(count,)] = self._execute(range_count_query(table), parameters, settings=settings)
        return int(count)

    def last_offset(self, table: str, source: Source, retention_ms: int) -> int | None:
        """Highest offset of a partition with a row in ``table``; rows older than the topic's retention are ignored."""
        since_ms = time.time_ns() // 1_000_000 - retention_ms if retention_ms >= 0 else 0
        parameters = {"topic_id": source.topic_id, "partition": source.partition, "since": since_ms}
        [(count, last)] = self._execute(last_offset_query(table), parameters, settings=_QUESTION_SETTINGS)
        return int(last) if count else None

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None:
            self._client.disconnect()
            self._client = None

    def _execute(self, query: str, *arguments: Any, **options: Any) -> Any:
        return self._attempt(query, lambda client: client.execute(query, *arguments, **options))

    def _attempt(self, query: str, use: Callable[[Client], Any]) -> Any:
        if self._client is None:
            self._client = clickhouse_client(
                self._clickhouse, send_receive_timeout=self._max_execution_s + 1, sync_request_timeout=2
            )
        try:
            return use(self._client)
        except driver_errors.ServerException as error:
            self.close()
            raise self._refusal(query, error, kind_of(error.code)) from error
        except _CANNOT_BE_ENCODED as error:
            self.close()
            raise self._refusal(query, error, Kind.POISON) from error
        except (driver_errors.Error, OSError, EOFError) as error:
            self.close()
            raise DatabaseUnavailableError(self._what(query, error)) from error
        except BaseException:
            self.close()
            raise

    def _refusal(self, query: str, error: Exception, kind: Kind) -> InsertRefusedError | DatabaseRefusesError:
        what = self._what(query, error)
        if kind is Kind.STOP:
            return DatabaseRefusesError(
                f"{what}. Check user, password, rights and database in the settings, then start the sink again: it "
                "continues where it stopped"
            )
        return InsertRefusedError(what, kind)

    def _what(self, query: str, error: Exception) -> str:
        return (
            f"ClickHouse at {self._clickhouse.host}:{self._clickhouse.port} did not take {query.partition(' (')[0]!r}: "
            f"{_first_line(error)}"
        )


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Code: ")]
    summary = lines[0] if lines else str(error).strip().replace("\n", " ")
    return f"{type(error).__name__}: {summary[:400]}"
