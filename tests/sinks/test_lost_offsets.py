"""Logs that lost what was committed, while a crashed sink's block may or may not be in the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from parallelm.connections.kafka import client_config
from parallelm.schemas import topics
from tests.sinks.conftest import DEADLINE_S
from tests.sinks.test_faults import delete_records, events, leave_intent, send_statistics
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.sinks.conftest import Platform


def test_a_crashed_block_that_retention_cut_is_not_inserted_twice(platform: Platform):
    values = events(platform, 5)
    with platform.sink():
        for value in values:
            platform.send(topics.EVENTS, value, partition=0, flush=False)
        platform.flush()
        platform.wait("SELECT count() FROM events", 5)
    leave_intent(platform, topics.EVENTS, [], last=4)
    delete_records(platform, topics.EVENTS, before=2)
    with platform.sink() as sink:
        wait_for(lambda: "rows of them are in events" in sink.stalls(), sink.stalls)
    assert platform.value("SELECT count() FROM events") == 5


def test_what_retention_left_of_a_crashed_block_is_inserted_when_nothing_of_it_is_there(platform: Platform):
    leave_intent(platform, topics.EVENTS, events(platform, 5))
    delete_records(platform, topics.EVENTS, before=2)
    with platform.sink():
        platform.wait("SELECT count() FROM events", 3)
        platform.wait("SELECT count() FROM dead_letters WHERE stage = 'retention'", 1)


def test_a_group_that_kafka_has_forgotten_goes_on_after_the_rows_that_are_there(platform: Platform):
    with platform.sink():
        send_statistics(platform, 60, origins=12)
        platform.send(topics.EVENTS, events(platform, 1)[0], partition=0)
        platform.wait("SELECT count() FROM statistics", 180)
        platform.wait("SELECT count() FROM events", 1)
    prefix = platform.settings.kafka.topic_prefix
    admin = AdminClient(client_config(platform.settings.kafka))
    admin.delete_consumer_groups([f"{prefix}sink"])[f"{prefix}sink"].result(DEADLINE_S)
    send_statistics(platform, 60, origins=12)
    platform.send(topics.EVENTS, events(platform, 1)[0], partition=0)
    with platform.sink():
        platform.wait("SELECT count() FROM events", 2)
        platform.wait("SELECT count() FROM statistics", 360)
    rows = "SELECT count(), uniqExact(_topic_id, _partition, _offset, _series, _index) FROM statistics"
    assert platform.rows(rows) == [(360, 360)]


def test_a_log_that_ends_before_what_was_committed_stops_its_partition_and_doubles_nothing(
    platform: Platform,
):
    values = events(platform, 3)
    leave_intent(platform, topics.EVENTS, values)
    name = f"{platform.settings.kafka.topic_prefix}events"
    consumer = Consumer(
        client_config(platform.settings.kafka, group_id=f"{platform.settings.kafka.topic_prefix}sink")
    )
    consumer.commit(offsets=[TopicPartition(name, 0, 9)], asynchronous=False)
    consumer.close()
    with platform.sink() as sink:
        platform.send(topics.EVENTS, values[0], partition=1)
        platform.wait("SELECT count() FROM events", 1)
        assert re.search(r"below offset 9 .* the log ends at 3", sink.stalls())
    assert platform.value("SELECT countIf(_partition = 0) FROM events") == 0
