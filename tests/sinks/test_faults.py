"""Crashes, absences and rebalances: nothing is lost and nothing doubled, the rollup included."""

from __future__ import annotations

import dataclasses
import random
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from parallelm.connections.kafka import client_config
from parallelm.schemas import topics
from parallelm.schemas.topic_admin import create_topics
from parallelm.sinks.blocks import ConsumedRecord, content_hash
from parallelm.sinks.consumer import TopicAdmin
from parallelm.sinks.errors import SinkError
from parallelm.sinks.intent import Intent, intent_metadata
from parallelm.sinks.sample_columns import ARRAYS_FROM_SAMPLES
from tests.service_process import ServiceProcess
from tests.sinks import samples
from tests.sinks.conftest import DEADLINE_S, Platform
from tests.sinks.samples import T0_MS
from tests.sinks.wire import through_wire
from tests.waiting import Deadline, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.schemas.topics import Topic


def send_statistics(platform: Platform, records: int, origins: int = 5) -> None:
    """``records`` batches of 3 samples: 1, 2 and 3."""
    for seq in range(records):
        times = [float(T0_MS + 1000 * seq + number) for number in range(3)]
        batch = samples.batch(samples.series(times, [1.0, 2.0, 3.0], f"s{seq % 4}"), seq=seq)
        platform.send(topics.STATISTICS, batch, key=f"origin {seq % origins}", flush=False)
    platform.flush()


def assert_exact(platform: Platform, records: int) -> None:
    platform.wait("SELECT count() FROM statistics", 3 * records)
    distinct = "SELECT uniqExact(_topic_id, _partition, _offset, _series, _index) FROM statistics"
    assert platform.value(distinct) == 3 * records
    assert platform.value("SELECT sum(value) FROM statistics") == 6 * records
    # An insert reaches the tables one after another, the rollup last.
    platform.wait("SELECT (sum(samples), sum(sum_value)) FROM statistics_by_day", (3 * records, 6 * records))
    # Of each block one row in the log, and of each offset one block.
    logged = (
        "SELECT (sum(records), sum(rows), sum(last_offset - first_offset + 1), count() - uniqExact(_partition, first_offset)) "
        "FROM ingested_blocks WHERE table_name = 'statistics'"
    )
    platform.wait(logged, (records, 3 * records, records, 0))


class SinkProcess(ServiceProcess):
    """``mcenter sink`` as its supervisor runs it."""

    def __init__(self, platform: Platform, folder: Path, *arguments: str) -> None:
        super().__init__(folder, "sink", "--session-timeout-s", "6", *arguments, settings=platform.settings)


@pytest.mark.long
def test_a_sink_killed_again_and_again_neither_loses_nor_doubles(platform: Platform, tmp_path: Path):
    chance = random.Random(7)
    total = 0
    with SinkProcess(platform, tmp_path / "sink", "--flush-ms", "20") as sink:
        for _ in range(3):
            sink.wait_ready()
            with ThreadPoolExecutor(1) as beside:
                sent = beside.submit(send_statistics, platform, 400)
                time.sleep(chance.uniform(0.0, 0.4))  # the moment of the crash is the point
                sink.end(signal.SIGKILL)
                sent.result()
            total += 400
            sink.start(wait=False)
        assert_exact(platform, total)
        sink.wait_ready()
        assert sink.end(signal.SIGTERM) == 0


def test_a_sink_with_an_instance_id_that_is_killed_goes_on_without_waiting_for_its_session(
    platform: Platform, tmp_path: Path
):
    # Its session outlives the deadline of every wait here.
    arguments = ("--instance-id", "sink-0", "--session-timeout-s", "250", "--flush-ms", "20")
    with SinkProcess(platform, tmp_path / "sink", *arguments) as sink:
        for total in (200, 400):
            sink.wait_ready()
            send_statistics(platform, 200)
            platform.wait("SELECT count() > 0 FROM statistics", 1)
            sink.kill()
            sink.start()
            assert_exact(platform, total)


def test_of_a_paused_sink_and_another_with_its_instance_id_one_ends_and_nothing_is_doubled(
    platform: Platform, tmp_path: Path
):
    arguments = ("--instance-id", "sink-0", "--flush-ms", "20")
    second = SinkProcess(platform, tmp_path / "second", *arguments)
    with SinkProcess(platform, tmp_path / "first", *arguments) as first, second.gone_at_the_end():
        assert first.process is not None
        send_statistics(platform, 400)
        platform.wait("SELECT count() > 0 FROM statistics", 1)
        first.process.send_signal(signal.SIGSTOP)
        second.start()
        send_statistics(platform, 400)
        platform.wait("SELECT count() FROM statistics", 3 * 800)
        first.process.send_signal(signal.SIGCONT)
        # Paused for longer than its session it joins anew, and it is the other one that has to go.
        ended = wait_for(
            lambda: next((each for each in (first, second) if each.process.poll() is not None), None)
        )
        assert ended.process.poll() == 1
        assert "another sink runs with --instance-id 'sink-0'" in ended.log()
        send_statistics(platform, 100)
        assert_exact(platform, 900)


def test_two_sinks_share_the_partitions_while_one_comes_and_goes(platform: Platform):
    deadline = Deadline()
    with platform.sink():
        send_statistics(platform, 200, origins=12)
        with platform.sink() as second:
            sent = 200
            # Which partitions it gets, and when, is the group's affair: it has its share once rows come through it.
            while not second.metric("rows_total", topic=_name(platform, topics.STATISTICS)):
                deadline.check("the second sink has partitions")
                send_statistics(platform, 50, origins=12)
                sent += 50
        send_statistics(platform, 200, origins=12)
        assert_exact(platform, sent + 200)


def test_a_database_that_goes_away_and_comes_back_misses_nothing(platform: Platform):
    with through_wire(platform.settings) as (moved, wire), Platform(moved).sink() as sink:
        send_statistics(platform, 100)
        for _ in range(3):
            before = sink.metric("retries_total", reason="database")
            wire.sever()
            send_statistics(platform, 100)
            wait_for(lambda before=before: sink.metric("retries_total", reason="database") > before)
            wire.cut = False
        assert_exact(platform, 400)


def test_rows_that_reached_only_some_of_the_tables_are_completed_and_not_doubled(platform: Platform):
    platform.client.execute("CREATE TABLE nowhere AS statistics ENGINE = Null")
    platform.client.execute(
        "CREATE MATERIALIZED VIEW failing TO nowhere AS SELECT * FROM statistics WHERE NOT throwIf(value = 3)"
    )
    with platform.sink() as sink:
        send_statistics(platform, 100)
        wait_for(lambda: sink.metric("retries_total", reason="database") >= 2)
        platform.client.execute("DROP VIEW failing")
        assert_exact(platform, 100)


def test_a_database_that_stays_away_ends_the_sink_with_a_clear_error(platform: Platform):
    def run_without_database() -> None:
        with through_wire(platform.settings) as (moved, wire):
            wire.sever()
            with Platform(moved).sink(retry_limit_s=1.0) as sink:
                send_statistics(platform, 10)
                sink.wait_until_ended()

    with pytest.raises(SinkError, match=r"gave up after .* ClickHouse at"):
        run_without_database()
    with platform.sink():
        assert_exact(platform, 10)


def _name(platform: Platform, topic: Topic) -> str:
    return topic.full_name(platform.settings.kafka.topic_prefix)


def leave_intent(platform: Platform, topic: Topic, values: list[bytes], **changes: object) -> Intent:
    """Do as a sink that died between its intent and its insert of ``values``, which are all of partition 0."""
    settings, name = platform.settings, _name(platform, topic)
    for value in values:
        platform.send(topic, value, partition=0, flush=False)
    platform.flush()
    config = client_config(
        settings.kafka,
        group_id=f"{settings.kafka.topic_prefix}sink",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    consumer = Consumer(config)
    try:
        consumer.assign([TopicPartition(name, 0, 0)])
        messages = consumer.consume(len(values), DEADLINE_S) if values else []
        records = [ConsumedRecord(m.offset(), m.timestamp()[1], m.key(), m.value()) for m in messages]
        topic_id = TopicAdmin(settings.kafka).find([name])[0][name]
        intent = Intent(
            topic_id, 0, 0, len(values) - 1, f"{topic_id}/0/0-{len(values) - 1}", content_hash(records)
        )
        intent = dataclasses.replace(intent, **changes)
        consumer.commit(offsets=[TopicPartition(name, 0, 0, intent_metadata(intent))], asynchronous=False)
    finally:
        consumer.close()
    return intent


def events(platform: Platform, count: int) -> list[bytes]:
    return [platform.codec.encode(samples.event(seq=seq, event_id=f"e{seq}")) for seq in range(count)]


def test_a_block_whose_owner_died_before_inserting_it_is_inserted(platform: Platform):
    leave_intent(platform, topics.EVENTS, events(platform, 5))
    platform.send(topics.EVENTS, events(platform, 1)[0], partition=0)
    with platform.sink() as sink:
        platform.wait("SELECT count() FROM events", 6)
        wait_for(lambda: sink.metric("replays_total", topic=_name(platform, topics.EVENTS)) == 1)
    assert platform.value("SELECT uniqExact(_offset) FROM events") == 6
    assert platform.value("SELECT sum(records) FROM ingested_blocks WHERE table_name = 'events'") == 6


def test_arrays_that_come_again_are_dropped_by_the_table_that_they_unfold_into(platform: Platform):
    times = [float(T0_MS + number) for number in range(ARRAYS_FROM_SAMPLES)]
    series = [samples.series(times, [1.0] * len(times), name) for name in ("a", "b")]
    value = platform.codec.encode(samples.batch(*series))
    intent = leave_intent(platform, topics.STATISTICS, [value])
    for _ in range(2):
        with platform.sink() as sink:
            wait_for(lambda: sink.metric("replays_total", topic=_name(platform, topics.STATISTICS)) == 1)
        stored = "SELECT (count(), uniqExact(_offset, _series, _index), sum(value)) FROM statistics"
        assert platform.value(stored) == (2 * len(times),) * 3
        assert platform.value("SELECT sum(samples) FROM statistics_by_day") == 2 * len(times)
        leave_intent(
            platform, topics.STATISTICS, [], last=0, token=intent.token, content_hash=intent.content_hash
        )


def test_a_block_that_makes_other_rows_now_is_inserted_when_nothing_of_it_is_there(platform: Platform):
    leave_intent(platform, topics.EVENTS, events(platform, 5), row_format=0)
    with platform.sink():
        platform.wait("SELECT count() FROM events", 5)


def test_a_block_that_makes_other_rows_now_and_is_there_stops_its_partition_with_what_to_do(
    platform: Platform,
):
    values = events(platform, 5)
    with platform.sink():
        for value in values:
            platform.send(topics.EVENTS, value, partition=0, flush=False)
        platform.flush()
        platform.wait("SELECT count() FROM events", 5)
    leave_intent(platform, topics.EVENTS, [], row_format=0, last=4)
    with platform.sink() as sink:
        wait_for(
            lambda: re.search(r"5 rows of them are in events.*--reset-offsets", sink.stalls()), sink.stalls
        )
        platform.send(topics.EVENTS, values[0], partition=0)
        platform.send(topics.EVENTS, values[0], partition=1)
        send_statistics(platform, 10)
        assert_exact(platform, 10)
        platform.wait("SELECT countIf(_partition = 1) FROM events", 1)
    assert platform.value("SELECT countIf(_partition = 0) FROM events") == 5


def test_offsets_that_retention_deleted_unread_are_a_recorded_loss(platform: Platform):
    values = events(platform, 8)
    with platform.sink():
        platform.send(topics.EVENTS, values[0], partition=0)
        platform.wait("SELECT count() FROM events", 1)
    for value in values[1:]:
        platform.send(topics.EVENTS, value, partition=0, flush=False)
    platform.flush()
    delete_records(platform, topics.EVENTS, before=5)
    with platform.sink() as sink:
        platform.wait("SELECT count() FROM events", 4)
        platform.wait("SELECT count() FROM dead_letters WHERE stage = 'retention'", 1)
        assert sink.metric("lost_records_total", topic=_name(platform, topics.EVENTS)) == 4
    assert "offsets 1 to 4 were deleted" in platform.value("SELECT error FROM dead_letters")


def delete_records(platform: Platform, topic: Topic, before: int) -> None:
    admin = AdminClient(client_config(platform.settings.kafka))
    for future in admin.delete_records([TopicPartition(_name(platform, topic), 0, before)]).values():
        future.result(DEADLINE_S)


def test_a_record_of_an_unknown_schema_waits_for_it_and_is_no_dead_letter(platform: Platform):
    unknown = b"\x00" + (2_000_099_999).to_bytes(4, "big") + b"\x00"
    platform.send(topics.EVENTS, unknown, partition=0)
    platform.send(topics.EVENTS, events(platform, 1)[0], partition=1)
    with platform.sink(retry_limit_s=1.0) as sink:
        platform.wait("SELECT count() FROM events", 1)
        wait_for(lambda: sink.metric("retries_total", reason="other") >= 4)
        send_statistics(platform, 10)
        assert_exact(platform, 10)
    assert platform.value("SELECT count() FROM dead_letters") == 0


def test_a_topic_that_is_made_again_while_none_of_it_is_read_is_noticed(platform: Platform):
    name = _name(platform, topics.EVENTS)
    sinks_admin, admin = (
        TopicAdmin(platform.settings.kafka),
        AdminClient(client_config(platform.settings.kafka)),
    )
    for _ in range(2):
        sinks_admin.identity.seen(sinks_admin.find([name])[0])
    admin.delete_topics([name])[name].result(DEADLINE_S)
    wait_for(lambda: create_topics(platform.settings) == [name])
    with pytest.raises(SinkError, match="was deleted and created again"):
        sinks_admin.identity.seen(sinks_admin.find([name])[0])


def test_a_recreated_topic_is_read_from_its_beginning(platform: Platform):
    with platform.sink():
        for value in events(platform, 3):
            platform.send(topics.EVENTS, value, partition=0)
        platform.wait("SELECT count() FROM events", 3)
    admin = AdminClient(client_config(platform.settings.kafka))
    admin.delete_topics([_name(platform, topics.EVENTS)])[_name(platform, topics.EVENTS)].result(DEADLINE_S)
    wait_for(lambda: create_topics(platform.settings) == [_name(platform, topics.EVENTS)])
    platform.send(topics.EVENTS, events(platform, 1)[0], partition=0)
    with platform.sink():
        platform.wait("SELECT count() FROM events", 4)
    assert platform.value("SELECT uniqExact(_topic_id) FROM events") == 2
