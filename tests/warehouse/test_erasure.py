"""Rows of an MLApp or of a label's value: every table that can have some is found, and only they go, for good."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.topics import CATALOGUE, MLAPP, ORIGIN, STATE
from parallelm.warehouse.erasure import (
    KEPT,
    KEYED_OTHERWISE,
    OfLabel,
    OfMLApp,
    count_rows,
    delete_rows,
    delete_statement,
    tables_with,
)
from tests.warehouse.erasure_rows import UNIQUE, avro_map, fill, stored_columns

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings
    from parallelm.warehouse.erasure import Selection

NOW_MS = time.time_ns() // 1_000_000
"""Of now: rows that are too old are dropped at once."""
BEFORE, AFTER = NOW_MS - 1000, NOW_MS + 1000
ARRIVED = datetime.fromtimestamp(BEFORE / 1000, UTC)


def test_every_table_with_an_mlapp_or_labels_is_covered(client: Client, settings: Settings):
    by_mlapp = tables_with(settings, OfMLApp("app"))
    by_label = tables_with(settings, OfLabel("customer", "7"))
    tables = stored_columns(client)
    assert set(by_mlapp) | set(KEPT) == set(tables), "a table is neither covered nor known to hold nothing"
    assert not set(by_mlapp) & set(KEPT)
    for table, columns in tables.items():
        for column in columns:
            if "mlapp" in column:
                assert f"`{column}`" in by_mlapp.get(table, ""), f"{table}.{column}"
            if "labels" in column:
                assert f"`{column}`" in by_label.get(table, ""), f"{table}.{column}"


def test_topics_whose_keys_name_no_mlapp_are_known():
    by_key = {MLAPP, ORIGIN, STATE}
    assert {topic.name for topic in CATALOGUE if topic.keyed_by not in by_key} == set(KEYED_OTHERWISE)


def test_a_dead_letter_is_found_by_its_bytes_where_its_key_names_no_mlapp(client: Client, settings: Settings):
    def named(text: str) -> bytes:
        return b"\x08" + bytes([len(text) * 2]) + text.encode() + b"\x00"

    rows = [
        (1, "mlops.agents", "host-1", named("gone"), ARRIVED),
        (2, "mlops.agents", "host-1", named("gone2"), ARRIVED),
        (3, "mlops.events", None, named("gone"), ARRIVED),
        (4, "mlops.events", "stays", named("gone"), ARRIVED),
        (5, "mlops.events", "gone/node//host", b"broken", ARRIVED),
        (6, "mlops.events", "gone2/node//host", b"broken", ARRIVED),
    ]
    client.execute(
        "INSERT INTO dead_letters_log (source_offset, source_topic, key, value, ingested_at) VALUES", rows
    )
    assert delete_rows(settings, OfMLApp("gone"), NOW_MS) == {"dead_letters_log": 3}
    left = client.execute("SELECT source_offset FROM dead_letters_log ORDER BY source_offset")
    assert left == [(2,), (4,), (6,)], "a key says of which MLApp a record is"


def test_a_table_that_comes_later_is_found(client: Client, settings: Settings):
    client.execute(
        "CREATE TABLE later (mlapp_id String, run_labels Map(String, String)) ENGINE = MergeTree ORDER BY ()"
    )
    client.execute("INSERT INTO later VALUES", [("app", {"customer": "7"})], settings=UNIQUE)
    assert count_rows(settings, OfMLApp("app")) == {"later": 1}
    assert delete_rows(settings, OfLabel("customer", "7"), NOW_MS) == {"later": 1}
    assert count_rows(settings, OfMLApp("app")) == {}


@pytest.mark.parametrize("selection", [OfMLApp("gone"), OfLabel("customer", "gone")], ids=str)
def test_of_all_tables_only_what_is_meant_goes(client: Client, settings: Settings, selection: Selection):
    other = OfMLApp("gone2") if isinstance(selection, OfMLApp) else OfLabel("customer", "gone2")
    for text in ("gone", "gone2", "x'); --"):
        filled = fill(client, text.replace("'", "\\'"), BEFORE)
    there = count_rows(settings, selection)
    assert set(there) >= set(tables_with(settings, selection)) & filled
    assert set(there) - filled == {"statistics_by_day_state"}, "what a view fills is counted, too"
    others = count_rows(settings, other)
    assert set(others) == set(there)
    deleted = delete_rows(settings, selection, NOW_MS)
    assert deleted == there
    assert count_rows(settings, selection) == {}
    assert count_rows(settings, other) == others
    assert delete_rows(settings, selection, NOW_MS) == {}, "again, it changes nothing"


def test_what_came_later_stays(client: Client, settings: Settings):
    fill(client, "gone", BEFORE)
    fill(client, "gone", AFTER)
    there = count_rows(settings, OfMLApp("gone"))
    deleted = delete_rows(settings, OfMLApp("gone"), NOW_MS)
    left = count_rows(settings, OfMLApp("gone"))
    assert "statistics_by_day_state" not in left, "an aggregate goes whole"
    assert set(left) == set(there) - {"statistics_by_day_state"}
    assert {table: deleted[table] for table in left} == dict.fromkeys(left, 1)


def test_a_label_that_is_missing_is_not_an_empty_one(client: Client, settings: Settings):
    client.execute(
        "INSERT INTO events (labels, ingested_at) VALUES",
        [(labels, ARRIVED) for labels in ({"a": ""}, {}, {"a": "1"})],
        settings=UNIQUE,
    )
    assert count_rows(settings, OfLabel("a", "")) == {"events": 1}


@pytest.mark.parametrize("name", ["it's", "50%", "a\\b", "{x}", "%(mlapp_id)s"])
def test_any_name_is_only_a_name(client: Client, settings: Settings, name: str):
    client.execute(
        "INSERT INTO events (mlapp_id, labels, ingested_at) VALUES",
        [(name, {name: name}, ARRIVED), ("a", {}, ARRIVED)],
        settings=UNIQUE,
    )
    assert count_rows(settings, OfLabel(name, name)) == {"events": 1}
    assert delete_rows(settings, OfMLApp(name), NOW_MS) == {"events": 1}
    assert client.execute("SELECT mlapp_id FROM events") == [("a",)]


def test_a_dead_letter_with_a_long_value_of_a_label_is_found(client: Client, settings: Settings):
    value = "é" * 5000
    rows = [(avro_map({"a": "1", "customer": found}), ARRIVED) for found in (value, f"{value}x", value[1:])]
    client.execute(
        "INSERT INTO dead_letters_log (value, ingested_at, source_offset) VALUES",
        [(*row, n) for n, row in enumerate(rows)],
    )
    assert delete_rows(settings, OfLabel("customer", value), NOW_MS) == {"dead_letters_log": 1}
    assert client.execute("SELECT source_offset FROM dead_letters_log ORDER BY source_offset") == [(1,), (2,)]


def test_nothing_is_left_in_the_parts(client: Client, settings: Settings):
    """A mark on deleted rows would leave them in the files until a merge."""
    fill(client, "gone", BEFORE)
    fill(client, "gone2", BEFORE)
    delete_rows(settings, OfMLApp("gone"), NOW_MS)
    ((rows, marked),) = client.execute(
        "SELECT sum(rows), countIf(has_lightweight_delete) FROM system.parts"
        " WHERE database = currentDatabase() AND active AND table = 'events'"
    )
    assert (rows, marked) == (1, 0)


def test_on_a_cluster_the_tables_of_all_shards_are_rewritten():
    assert delete_statement("statistics", "1", "ours") == (
        "ALTER TABLE statistics_local ON CLUSTER `ours` DELETE WHERE 1"
    )
    assert delete_statement("events", "1", "ours") == "ALTER TABLE events ON CLUSTER `ours` DELETE WHERE 1"
    assert delete_statement("statistics", "1", "") == "ALTER TABLE statistics DELETE WHERE 1"
