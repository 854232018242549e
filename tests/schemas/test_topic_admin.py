"""Topics on the real broker: made once, held against the catalogue, read from any point."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from parallelm.connections import Settings
from parallelm.connections.kafka import client_config
from parallelm.schemas import consumer_groups as groups_module
from parallelm.schemas.consumer_groups import consumer_groups
from parallelm.schemas.errors import ClusterUnavailableError, TopicsError
from parallelm.schemas.topic_admin import check_topics, create_topics, list_topics
from parallelm.schemas.topic_reader import RawRecord, StartPoint, read_topic
from parallelm.schemas.topics import ACTIONS, CATALOGUE, HEARTBEATS, STATISTICS
from tests.made_topics import make_topics
from tests.waiting import wait_for

WAIT_S = 120


@pytest.fixture
def nowhere() -> Settings:
    settings = Settings()
    return dataclasses.replace(
        settings, kafka=dataclasses.replace(settings.kafka, bootstrap_servers="127.0.0.1:9")
    )


@pytest.fixture
def admin(settings: Settings) -> AdminClient:
    return AdminClient(client_config(settings.kafka))


def produce(settings: Settings, name: str, values: list[bytes], partition: int = 0) -> None:
    producer = Producer(client_config(settings.kafka))
    for value in values:
        producer.produce(name, value, partition=partition)
    assert producer.flush(WAIT_S) == 0


def read(settings: Settings, start: StartPoint) -> list[RawRecord]:
    name = HEARTBEATS.full_name(settings.kafka.topic_prefix)
    return list(read_topic(settings, name, start, follow=False, timeout_s=WAIT_S))


def test_topics_are_created_as_the_catalogue_wants_them_and_only_once(settings: Settings):
    names = [topic.full_name(settings.kafka.topic_prefix) for topic in CATALOGUE]
    missing = check_topics(settings)
    assert [(found.topic, found.what, found.found) for found in missing] == [
        (name, "topic", "missing") for name in names
    ]
    assert create_topics(settings) == names
    assert check_topics(settings) == []
    assert create_topics(settings) == []


def test_differences_to_the_catalogue_are_told(settings: Settings, admin: AdminClient):
    prefix = settings.kafka.topic_prefix
    statistics, actions, heartbeats = (topic.full_name(prefix) for topic in (STATISTICS, ACTIONS, HEARTBEATS))
    make_topics(settings, NewTopic(statistics, 3, 1, config=STATISTICS.config))
    create_topics(settings)
    for future in admin.create_partitions([NewPartitions(actions, 9)]).values():
        future.result(WAIT_S)
    resource = ConfigResource(ResourceType.TOPIC, heartbeats)
    for setting, value in (("retention.ms", "5"), ("message.timestamp.type", "CreateTime")):
        resource.add_incremental_config(
            ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        )
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(WAIT_S)
    expected = {
        (statistics, "partitions", "at least 12", "3"),
        (actions, "partitions", "exactly 8, as all control topics", "9"),
        (heartbeats, "retention.ms", "21600000", "5"),
        (heartbeats, "message.timestamp.type", "LogAppendTime", "CreateTime"),
    }

    def reported() -> set[tuple[str, str, str, str]]:
        return {(found.topic, found.what, found.expected, found.found) for found in check_topics(settings)}

    # A change of settings is acknowledged a moment before it shows.
    wait_for(lambda: reported() == expected, lambda: sorted(reported() ^ expected))


def test_the_list_counts_partitions_and_records(settings: Settings):
    assert {(live.partitions, live.records) for live in list_topics(settings)} == {(0, 0)}
    create_topics(settings)
    heartbeats = HEARTBEATS.full_name(settings.kafka.topic_prefix)
    produce(settings, heartbeats, [b"1", b"2", b"3"])
    listed = {live.name: (live.partitions, live.records) for live in list_topics(settings)}
    assert listed.pop(heartbeats) == (8, 3)
    assert {records for _, records in listed.values()} == {0}


def test_a_broker_that_is_away_is_told_with_its_address(nowhere: Settings):
    for ask in (create_topics, check_topics, list_topics):
        with pytest.raises(ClusterUnavailableError, match=r"127\.0\.0\.1:9.* within 1 s.*mcenter up"):
            ask(nowhere, timeout_s=1.0)
    with pytest.raises(ClusterUnavailableError):
        list(read_topic(nowhere, "heartbeats", StartPoint("end"), follow=False, timeout_s=1.0))


def test_a_topic_is_read_from_any_point(settings: Settings):
    heartbeats = HEARTBEATS.full_name(settings.kafka.topic_prefix)
    with pytest.raises(TopicsError, match="not on the cluster"):
        read(settings, StartPoint("beginning"))
    create_topics(settings)
    assert read(settings, StartPoint("beginning")) == []
    produce(settings, heartbeats, [b"a", b"b", b"c"], partition=1)
    produce(settings, heartbeats, [b"d", b"e"], partition=5)
    records = read(settings, StartPoint("beginning"))
    assert sorted((record.partition, record.offset, record.value) for record in records) == [
        (1, 0, b"a"),
        (1, 1, b"b"),
        (1, 2, b"c"),
        (5, 0, b"d"),
        (5, 1, b"e"),
    ]
    assert read(settings, StartPoint("end")) == []
    assert [record.value for record in read(settings, StartPoint("latest", 3))] == [b"c", b"d", b"e"]
    assert len(read(settings, StartPoint("latest", 100))) == 5
    second_half = max(record.ingested_at_ms for record in records)
    assert {record.value for record in read(settings, StartPoint("time", second_half))} >= {b"e"}
    assert read(settings, StartPoint("time", second_half + 3_600_000)) == []


def test_the_latest_records_are_found_among_markers_of_transactions(settings: Settings):
    create_topics(settings)
    name = HEARTBEATS.full_name(settings.kafka.topic_prefix)
    producer = Producer(client_config(settings.kafka, transactional_id=name))
    producer.init_transactions(WAIT_S)
    for number in range(6):
        producer.begin_transaction()
        producer.produce(name, b"%d" % number, partition=2)
        if number == 4:
            producer.abort_transaction(WAIT_S)
        else:
            producer.commit_transaction(WAIT_S)
    latest = read_topic(settings, name, StartPoint("latest", 4), follow=False, timeout_s=WAIT_S)
    assert [record.value for record in latest] == [b"1", b"2", b"3", b"5"]


def test_following_goes_on_with_records_that_come_later(settings: Settings):
    create_topics(settings)
    heartbeats = HEARTBEATS.full_name(settings.kafka.topic_prefix)
    produce(settings, heartbeats, [b"old"])
    records = read_topic(settings, heartbeats, StartPoint("beginning"), follow=True, timeout_s=WAIT_S)
    assert next(records).value == b"old"
    produce(settings, heartbeats, [b"new"], partition=3)
    assert next(records).value == b"new"
    records.close()


def test_of_each_consumer_group_members_and_what_they_have_committed_are_told(settings: Settings):
    topic, group = f"{settings.kafka.topic_prefix}events", f"{settings.kafka.topic_prefix}told"
    make_topics(settings, NewTopic(topic, 2, 1))
    reader = Consumer(client_config(settings.kafka, group_id=group, enable_auto_commit=False))
    try:
        reader.subscribe([topic])
        wait_for(lambda: reader.poll(0.1) or reader.assignment())
        reader.commit(offsets=[TopicPartition(topic, 1, 7, "so far")], asynchronous=False)
        [found] = [each for each in consumer_groups(settings.kafka, WAIT_S) if each.name == group]
    finally:
        reader.close()
    assert (found.members, found.assigned) == (1, {(topic, 0), (topic, 1)})
    [consumer] = found.consumers
    assert (consumer.client_id, consumer.host, consumer.partitions) == ("rdkafka", "127.0.0.1", 2)
    assert (found.committed, found.metadata) == ({(topic, 1): 7}, {(topic, 1): "so far"})


def test_a_client_that_ends_by_an_assertion_as_a_broker_goes_away_is_told_and_ends_nobody_else(
    settings: Settings, nowhere: Settings, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(ClusterUnavailableError, match=r"cannot be read|did not answer within 1 s"):
        consumer_groups(nowhere.kafka, 1.0)
    monkeypatch.setattr(groups_module, "_COMMAND", (sys.executable, "-c", "import os; os.abort()"))
    with pytest.raises(ClusterUnavailableError, match=r"cannot be told now: .* ended with -6"):
        consumer_groups(settings.kafka, 1.0)
