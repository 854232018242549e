"""Statements for the sinks, which insert blocks of records and look up which are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def insert_statement(table: str, columns: Iterable[str]) -> str:
    """Inserts rows that the driver sends, column by column."""
    names = ", ".join(f"`{column}`" for column in columns)
    return f"INSERT INTO {table} ({names}) VALUES"


def sync_statement(table: str) -> str:
    """Waits until this replica has the rows that others of its shard have taken."""
    return f"SYSTEM SYNC REPLICA {table} LIGHTWEIGHT"


def range_count_query(table: str) -> str:
    """Rows of the offsets ``first`` to ``last`` of one ``partition`` of a topic (``topic_id``).

    Only those that arrived from ``since`` to ``until``, epoch milliseconds, both included.
    """
    return (
        f"SELECT count() FROM {table} WHERE _topic_id = %(topic_id)s AND _partition = %(partition)s "  # noqa: S608 - our own table names
        "AND _offset BETWEEN %(first)s AND %(last)s AND ingested_at BETWEEN "
        "fromUnixTimestamp64Milli(toInt64(%(since)s)) AND fromUnixTimestamp64Milli(toInt64(%(until)s))"
    )


def last_offset_query(table: str) -> str:
    """Rows of one ``partition`` of a topic (``topic_id``) that arrived from ``since`` on, and their highest offset."""
    return (
        f"SELECT count(), max(_offset) FROM {table} WHERE _topic_id = %(topic_id)s AND _partition = %(partition)s "  # noqa: S608 - our own table names
        "AND ingested_at >= fromUnixTimestamp64Milli(toInt64(%(since)s))"
    )
