"""Records of the topics that are tables: definitions, silences and the state of services. Others are in the warehouse."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import fastavro

from parallelm.connections.kafka import client_config
from parallelm.operations.errors import BackupError
from parallelm.schemas.dead_letters import concerns
from parallelm.schemas.topic_admin import connect, create_topics, log_bounds
from parallelm.schemas.topic_reader import read_to_end, reader_config
from parallelm.schemas.topics import MLAPP_STATE, MLAPPS, NOTIFIER_STATE, SERIES_STATE, SILENCES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic

BACKED_UP = (MLAPPS, SILENCES, SERIES_STATE, MLAPP_STATE, NOTIFIER_STATE)
_TIMEOUT_S = 30.0
_SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "BackedUpRecord",
        "doc": "A record of a compacted topic; the newest of each key.",
        "fields": [
            {"name": "partition", "type": "int"},
            {"name": "key", "type": ["null", "bytes"]},
            {"name": "value", "type": "bytes"},
        ],
    }
)


def save_topic(settings: Settings, topic: Topic, file: Path) -> int:
    """Write the newest record of each key to a file, and return how many there are."""
    newest: dict[tuple[int, bytes | None], dict[str, Any]] = {}
    for message in _read(settings, topic.full_name(settings.kafka.topic_prefix)):
        if not concerns(message.headers(), ""):
            continue  # history of a capture, for the sinks alone: it is in the warehouse
        place = (message.partition(), message.key())
        newest.pop(place, None)  # so that the order is that of the newest
        if message.value() is not None:
            newest[place] = {"partition": place[0], "key": place[1], "value": message.value()}
    with file.open("wb") as out:
        fastavro.writer(out, _SCHEMA, newest.values(), codec="deflate")
    return len(newest)


def require_empty(settings: Settings) -> None:
    """Create the topics where they are missing; raises ``BackupError`` when one of them holds records."""
    create_topics(settings, timeout_s=_TIMEOUT_S)
    admin, metadata = connect(settings, _TIMEOUT_S)
    prefix = settings.kafka.topic_prefix
    names = [topic.full_name(prefix) for topic in BACKED_UP]
    places = [(name, number) for name in names for number in metadata.topics[name].partitions]
    full = sorted({name for (name, _), (_, end) in log_bounds(admin, places, _TIMEOUT_S).items() if end > 0})
    if full:
        raise BackupError(
            f"topic {full[0]!r} is not empty: a backup is restored into an empty platform; stop its services, and name "
            "another topic prefix in MCENTER_KAFKA_TOPIC_PREFIX, or delete the topics"
        )


def load_topic(settings: Settings, topic: Topic, file: Path) -> int:
    """Send the records of a file to their partitions, and return how many there were; raises ``BackupError``."""
    from confluent_kafka import Producer

    name = topic.full_name(settings.kafka.topic_prefix)
    producer = Producer(client_config(settings.kafka, acks="all", enable_idempotence=True))
    failed: list[str] = []

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(error.str())

    count = 0
    with file.open("rb") as source:
        for found in fastavro.reader(source):
            record: Any = found
            while True:
                try:
                    producer.produce(
                        name, record["value"], record["key"], record["partition"], on_delivery=delivered
                    )
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
            count += 1
    deadline = time.monotonic() + _TIMEOUT_S
    while len(producer) and time.monotonic() < deadline:
        producer.flush(1.0)
    if failed or len(producer):
        raise BackupError(
            f"topic {name!r} was not restored: {failed[0] if failed else 'the brokers do not answer'}"
        )
    return count


def _read(settings: Settings, name: str) -> Iterator[Any]:
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    _, metadata = connect(settings, _TIMEOUT_S)
    if name not in metadata.topics:
        raise BackupError(f"topic {name!r} is not on the cluster: there is nothing to back up")
    consumer = Consumer(reader_config(settings.kafka, "mcenter-backup", isolation_level="read_committed"))
    try:
        partitions = list(metadata.topics[name].partitions)
        consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for number in partitions])
        # The end is where the broker says that a partition ends.
        yield from read_to_end(consumer, {(name, number): 1 << 62 for number in partitions}, _TIMEOUT_S)
    finally:
        consumer.close()
