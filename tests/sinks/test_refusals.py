"""ClickHouse refuses a block: it waits alone, is written in pieces, or its bad record is a dead letter."""

from __future__ import annotations

import dataclasses
import re
import signal
import threading
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.schemas import topics
from parallelm.sinks import stopped, writer
from parallelm.sinks.errors import DatabaseRefusesError
from parallelm.sinks.server_errors import SERVER_ERRORS
from parallelm.sinks.service import wait_for_warehouse
from parallelm.warehouse.cluster import KEPT_FREE_BYTES
from tests.service_process import ServiceProcess
from tests.sinks import samples
from tests.sinks.conftest import Platform
from tests.sinks.samples import T0_MS
from tests.sinks.wire import through_wire
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings

EVENTS = 60
AT_ONCE: dict[str, Any] = {
    "topics": (topics.EVENTS, topics.STATISTICS, topics.DEAD_LETTERS),
    "inserts_a_second": 1000.0,
}
EXACT = "SELECT (count(), uniqExact(_partition, _offset)) FROM events"


def send_events(platform: Platform, count: int, first: int = 0, **changes: Any) -> None:
    for seq in range(first, first + count):
        platform.send(topics.EVENTS, samples.event(seq=seq, **changes), partition=0, flush=False)
    platform.flush()


def send_sample(platform: Platform, partition: int = 0) -> None:
    platform.send(
        topics.STATISTICS, samples.batch(samples.series([float(T0_MS)], [1.0])), partition=partition
    )


def test_each_code_has_the_name_that_clickhouse_gives_it(stack: Settings):
    query = f"SELECT c, errorCodeToName(c) FROM (SELECT arrayJoin({list(SERVER_ERRORS)}) AS c)"
    with clickhouse_client(stack.clickhouse, database="default") as client:
        names = client.execute(query)
    assert dict(names) == {code: error.name for code, error in SERVER_ERRORS.items()}


@pytest.mark.parametrize(
    ("name", "broken", "mended"),
    [
        ("UNKNOWN_TABLE", "RENAME TABLE events TO gone", "RENAME TABLE gone TO events"),
        pytest.param(
            "TOO_MANY_PARTS",
            "ALTER TABLE events MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 0",
            "ALTER TABLE events RESET SETTING parts_to_throw_insert, parts_to_delay_insert",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "UNKNOWN_IDENTIFIER",
            "ALTER TABLE events RENAME COLUMN title TO heading",
            "ALTER TABLE events RENAME COLUMN heading TO title",
            marks=pytest.mark.long,
        ),
        (
            "NOT_ENOUGH_SPACE",
            f"ALTER TABLE events MODIFY SETTING min_free_disk_bytes_to_perform_insert = {10**15}",
            f"ALTER TABLE events MODIFY SETTING min_free_disk_bytes_to_perform_insert = {KEPT_FREE_BYTES}",
        ),
        (
            "NOT_IMPLEMENTED",
            "RENAME TABLE events TO gone; CREATE VIEW events AS SELECT * FROM gone",
            "DROP VIEW events; RENAME TABLE gone TO events",
        ),
    ],
)
def test_a_table_that_cannot_be_written_keeps_its_own_topic_waiting_and_no_other(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, name: str, broken: str, mended: str
):
    monkeypatch.setattr(stopped, "STALLED_S", 1.0)
    # It waits for longer than the sink does for a database that is away.
    with platform.sink(**AT_ONCE, retry_limit_s=1.0) as sink:
        send_events(platform, 1)
        platform.wait(EXACT, (1, 1))
        for statement in broken.split("; "):
            platform.client.execute(statement)
        send_events(platform, EVENTS, first=1)
        wait_for(lambda: sink.metric("retries_total", reason="database") >= 4)
        send_sample(platform)
        platform.wait("SELECT count() FROM statistics", 1)
        assert sink.metric("progress_age_seconds") > 1
        assert re.search(rf"topic \S*events is not written: it cannot .*\({name}\)", sink.stalls()), (
            sink.stalls()
        )
        for statement in mended.split("; "):
            platform.client.execute(statement)
        platform.wait(EXACT, (EVENTS + 1, EVENTS + 1))
    assert platform.value("SELECT count() FROM dead_letters") == 0
    assert name in {error.name for error in SERVER_ERRORS.values()}


@pytest.mark.parametrize(
    ("rule", "bad", "words"),
    [
        ("ADD CONSTRAINT c CHECK seq != 1000", {"seq": 1000}, "Constraint `c`"),
        pytest.param(
            "ADD CONSTRAINT c CHECK NOT throwIf(seq = 1000)", {"seq": 1000}, "throwIf", marks=pytest.mark.long
        ),
        pytest.param(
            "ADD CONSTRAINT c CHECK length(range(if(seq = 1000, 500000001, 1))) >= 0",
            {"seq": 1000},
            "range",
            marks=pytest.mark.long,
        ),
        ("MODIFY COLUMN seq Int8", {"seq": 1000}, "Column seq"),
        pytest.param(
            f"ADD CONSTRAINT c CHECK notEmpty(toUUID(if(seq = 1000, 'none', '{UUID(int=1)}')))",
            {"seq": 1000},
            "none",
            marks=pytest.mark.long,
        ),
    ],
    ids=[
        "VIOLATED_CONSTRAINT",
        "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
        "ARGUMENT_OUT_OF_BOUND",
        "TYPE_MISMATCH",
        "CANNOT_PARSE_UUID",
    ],
)
def test_a_record_that_the_table_refuses_is_a_dead_letter_with_the_servers_words_and_all_others_are_rows(
    platform: Platform, rule: str, bad: dict[str, Any], words: str
):
    platform.client.execute(f"ALTER TABLE events {rule}")
    for part in (0, 1, 2):
        send_events(platform, EVENTS // 2, first=part * EVENTS // 2)
        if part != 1:
            platform.send(topics.EVENTS, samples.event(**bad), partition=0)
    with platform.sink(**AT_ONCE, session_timeout_s=1.0):
        platform.wait(EXACT, (3 * EVENTS // 2, 3 * EVENTS // 2))
        platform.wait("SELECT count() FROM dead_letters", 2)
    letters = platform.rows("SELECT stage, source_offset, error FROM dead_letters ORDER BY source_offset")
    assert [letter[:2] for letter in letters] == [("insert", EVENTS // 2), ("insert", 3 * EVENTS // 2 + 1)]
    assert all(words in error for *_, error in letters)


@pytest.mark.parametrize(
    ("rule", "limits"),
    [
        ("ADD CONSTRAINT c CHECK NOT sleepEachRow(0.06)", {}),
        ("MODIFY COMMENT 'as it was'", {"max_memory_usage": 12_000_000}),
    ],
    ids=["TOO_SLOW", "MEMORY_LIMIT_EXCEEDED"],
)
def test_a_block_that_is_too_large_for_the_server_is_written_in_pieces(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, rule: str, limits: dict[str, Any]
):
    platform.client.execute(f"ALTER TABLE events {rule}")
    for name, value in limits.items():
        monkeypatch.setitem(writer._INSERT_SETTINGS, name, value)
    send_events(platform, EVENTS, data=bytes(100_000))
    with platform.sink(**AT_ONCE, session_timeout_s=3.0) as sink:
        platform.wait(EXACT, (EVENTS, EVENTS))
        name = topics.EVENTS.full_name(platform.settings.kafka.topic_prefix)
        wait_for(lambda: sink.metric("records_total", topic=name) == EVENTS)
        assert sink.metric("blocks_total", topic=name) > 1
    assert platform.value("SELECT count() FROM dead_letters") == 0


def test_a_record_that_stays_too_large_for_the_servers_memory_is_a_dead_letter(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(writer._INSERT_SETTINGS, "max_memory_usage", 20_000_000)
    platform.client.execute("ALTER TABLE events ADD CONSTRAINT c CHECK length(repeat('x', seq)) >= 0")
    for seq in (1, 2, 3, 30_000_000, 5, 6, 7):
        send_events(platform, 1, first=seq)
    with platform.sink(**AT_ONCE, session_timeout_s=1.0, retry_limit_s=10.0):
        platform.wait(EXACT, (6, 6))
        platform.wait("SELECT count() FROM dead_letters", 1)
    [(stage, error)] = platform.rows("SELECT stage, error FROM dead_letters")
    assert stage == "insert"
    assert "memory limit" in error


def test_a_record_whose_labels_would_fill_the_server_is_a_dead_letter_and_delays_nothing(platform: Platform):
    times = [float(T0_MS + number) for number in range(25_000)]
    with platform.sink(**AT_ONCE):
        send_sample(platform)
        series = samples.series(times, times, labels={"note": "x" * 200_000})
        platform.send(topics.STATISTICS, samples.batch(series), partition=0)
        send_sample(platform)
        platform.wait("SELECT count() FROM statistics", 2)
        platform.wait("SELECT count() FROM dead_letters WHERE stage = 'validate'", 1)


def test_a_table_that_cannot_be_written_while_the_group_rebalances_is_written_later(platform: Platform):
    with platform.sink(**AT_ONCE) as sink:
        platform.client.execute("RENAME TABLE events TO gone")
        send_events(platform, EVENTS)
        wait_for(lambda: sink.metric("retries_total", reason="database") >= 2)
        sink.assigned.clear()
        with platform.sink(**AT_ONCE):
            wait_for(sink.assigned.is_set)
        platform.client.execute("RENAME TABLE gone TO events")
        platform.wait(EXACT, (EVENTS, EVENTS))


def test_pieces_of_a_refused_block_survive_kill_9(platform: Platform, tmp_path: Path):
    platform.client.execute("ALTER TABLE events ADD CONSTRAINT c CHECK seq % 97 != 96")
    send_events(platform, 200)
    arguments = ("sink", "--instance-id", "s", "--session-timeout-s", "1", "--topics", "events,dead-letters")
    with ServiceProcess(tmp_path / "sink", *arguments, settings=platform.settings) as sink:
        for stored in (20, 120):
            wait_for(lambda stored=stored: platform.value("SELECT count() FROM events") > stored)
            sink.kill()
            sink.start(wait=False)
        platform.wait(EXACT, (198, 198))
        platform.wait("SELECT count() FROM dead_letters", 2)
        sink.wait_ready()
        assert sink.end(signal.SIGTERM) == 0
    assert platform.rows("SELECT source_offset FROM dead_letters ORDER BY 1") == [(96,), (193,)]


def test_rows_behind_which_a_view_refuses_are_not_cut_and_keep_no_other_topic_waiting(platform: Platform):
    platform.client.execute("CREATE TABLE nowhere AS events ENGINE = Null")
    platform.client.execute(
        "CREATE MATERIALIZED VIEW strict TO nowhere AS SELECT * FROM events WHERE NOT throwIf(seq = 3)"
    )
    send_events(platform, EVENTS)
    with platform.sink(**AT_ONCE, session_timeout_s=1.0) as sink:
        wait_for(lambda: sink.metric("retries_total", reason="database") >= 4)
        send_sample(platform)
        platform.wait("SELECT count() FROM statistics", 1)
        platform.client.execute("DROP VIEW strict")
        name = topics.EVENTS.full_name(platform.settings.kafka.topic_prefix)
        wait_for(lambda: sink.metric("records_total", topic=name) == EVENTS)
    assert platform.value(EXACT) == (EVENTS, EVENTS)
    assert platform.value("SELECT count() FROM dead_letters") == 0


def test_a_password_that_is_wrong_ends_the_sink_at_once_with_what_to_do(platform: Platform):
    clickhouse = dataclasses.replace(platform.settings.clickhouse, password="guessed")  # noqa: S106 - wrong on purpose
    settings = dataclasses.replace(platform.settings, clickhouse=clickhouse)
    with pytest.raises(DatabaseRefusesError, match="cannot be used with user"):
        wait_for_warehouse(settings, 600, threading.Event())

    def run() -> None:
        with Platform(settings).sink() as sink:
            send_sample(platform)
            sink.wait_until_ended()

    with pytest.raises(DatabaseRefusesError, match="Check user, password"):
        run()


def test_a_database_that_does_not_answer_for_longer_than_the_session_costs_no_partition(platform: Platform):
    with (
        through_wire(platform.settings) as (moved, wire),
        Platform(moved).sink(**AT_ONCE, session_timeout_s=1.0) as sink,
    ):
        send_sample(platform)
        platform.wait("SELECT count() FROM statistics", 1)
        sink.assigned.clear()
        wire.hold(1)
        send_sample(platform)
        assert wire.is_holding.wait(60)
        wait_for(lambda: sink.metric("retries_total", reason="database") >= 2)
        wire.sever()
        wire.release()
        wire.cut = False
        platform.wait("SELECT count() FROM statistics", 2)
        assert not sink.assigned.is_set()
    assert platform.value("SELECT uniqExact(_partition, _offset) FROM statistics") == 2
