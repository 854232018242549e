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


def letters_query(table: str) -> str:
    """Ids, as the view ``dead_letters`` makes them, of the dead letters of some offsets of a ``topic`` for a consumer ``group``."""
    return (
        "SELECT DISTINCT lower(hex(sipHash64(source_topic, topic_id, source_partition, source_offset, stage, consumer_group))) "  # noqa: S608 - our own table names
        f"FROM {table} WHERE source_topic = %(topic)s AND topic_id = %(topic_id)s AND source_partition = %(partition)s "
        "AND source_offset BETWEEN %(first)s AND %(last)s AND consumer_group = %(group)s"
    )


def answered_letters_query(table: str) -> str:
    """Ids of the dead letters that were replayed or dropped."""
    return f"SELECT DISTINCT target FROM {table} WHERE action IN ('replay_dead_letter', 'drop_dead_letter')"  # noqa: S608 - our own table names
