"""Writing to a real broker and waiting until it has everything, or saying what it has not."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import NewTopic

from parallelm.schemas.errors import TopicsError, UndeliveredError
from parallelm.schemas.topic_admin import require_topic
from parallelm.schemas.topic_reader import StartPoint, read_topic
from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter, write_and_confirm
from tests.made_topics import make_topics

if TYPE_CHECKING:
    from parallelm.connections import Settings

WAIT_S = 120


@pytest.fixture
def topic(settings: Settings) -> str:
    name = f"{settings.kafka.topic_prefix}written-{uuid.uuid4().hex[:8]}"
    make_topics(settings, NewTopic(name, 1))
    return name


def values(settings: Settings, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    records = read_topic(settings, topic, StartPoint("beginning"), follow=False, timeout_s=WAIT_S)
    return [(record.key, record.value) for record in records]


def test_everything_is_there_in_order_when_it_returns(settings: Settings, topic: str):
    confirmed: list[int] = []
    records = [OutgoingRecord(topic, b"k", str(number).encode()) for number in range(50)]
    records.append(OutgoingRecord(topic, None, None))
    count = write_and_confirm(settings, records, on_confirmed=lambda: confirmed.append(1))
    assert (count, len(confirmed)) == (51, 51)
    assert values(settings, topic) == [(record.key, record.value) for record in records]
    assert write_and_confirm(settings, []) == 0


def test_more_records_than_the_client_can_queue_arrive(settings: Settings, topic: str):
    writer = TopicWriter(settings, queue_buffering_max_messages=10)
    assert writer.write(OutgoingRecord(topic, b"k", b"%d" % number) for number in range(300)) == 300
    assert writer.write([OutgoingRecord(topic, b"k", b"last")]) == 1
    assert [value for _, value in values(settings, topic)] == [b"%d" % number for number in range(300)] + [
        b"last"
    ]


def test_a_record_that_is_refused_is_named_and_ends_the_writing(settings: Settings, topic: str):
    large = OutgoingRecord(topic, b"k", b"x" * 20_000_000)
    with pytest.raises(UndeliveredError, match=r"1 of 2 records for .*Message size too large") as error:
        write_and_confirm(
            settings, [OutgoingRecord(topic, b"k", b"1"), large, OutgoingRecord(topic, b"k", b"3")]
        )
    assert list(error.value.records) == [large]
    assert values(settings, topic) == [(b"k", b"1")]


def test_without_a_broker_nothing_is_said_to_have_arrived(settings: Settings, topic: str):
    away = dataclasses.replace(
        settings, kafka=dataclasses.replace(settings.kafka, bootstrap_servers="127.0.0.1:9")
    )
    records = [OutgoingRecord(topic, b"k", b"1"), OutgoingRecord(topic, b"k", b"2")]
    with pytest.raises(UndeliveredError, match=r"'127.0.0.1:9' did not confirm 2 of 2 records") as error:
        write_and_confirm(away, records, timeout_s=1)
    assert list(error.value.records) == records
    assert values(settings, topic) == []


def test_a_topic_that_is_missing_is_named(settings: Settings, topic: str):
    require_topic(settings, topic, WAIT_S)
    with pytest.raises(TopicsError, match="topic 'nowhere' is not on the cluster; create it with"):
        require_topic(settings, "nowhere", WAIT_S)
