"""A running worker and its topics, as the tests of this folder use them: real broker, real processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from parallelm.connections.kafka import client_config
from parallelm.definitions import DefinitionTopic, next_version, parse_definition, to_record
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import DecodeError
from parallelm.schemas.records import Event, ModelAnnouncement, Origin, Series, StatisticsBatch
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_reader import reader_config
from parallelm.schemas.topics import EVENTS, MODELS, STATISTICS, Topic, origin_key
from tests.service_process import ServiceProcess
from tests.waiting import DEADLINE_S, Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.connections import Settings

DAY = 86_400_000
START = 1_356_998_400_000
"""2013-01-01T00:00Z: event times are long past, as in a replay."""

DEFINITION = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, consumes: [train]}
alerts:
  - {name: drift, type: health, measure: score, threshold: 0.4, for: 3d, features: [temp], reason: The weather changed.}
  - {name: late, type: threshold, statistic: share, above: 0.5}
"""


class Worker(ServiceProcess):
    """One ``mcenter processors`` process; ``with`` starts it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(folder, "processors", "--session-timeout-s", "3", settings=settings)


@dataclass
class Cluster:
    """Writes records as components do, and reads topics as a sink does."""

    settings: Settings
    mlapp: str = "app"
    codec: Codec = field(init=False)
    admin: AdminClient = field(init=False)
    producer: Producer = field(init=False)
    _seq: int = 0
    _read: dict[str, tuple[Consumer, list[Any]]] = field(default_factory=dict)
    _reached: dict[tuple[str, int], int] = field(default_factory=dict)
    """Ends up to which topics were read."""

    def __post_init__(self) -> None:
        kafka = self.settings.kafka
        self.codec = Codec(make_registry(self.settings.schema_registry, kafka.topic_prefix))
        self.admin = AdminClient(client_config(kafka))
        self.producer = Producer(client_config(kafka, acks="all", partitioner="murmur2_random", linger_ms=0))

    def name(self, topic: Topic) -> str:
        return topic.full_name(self.settings.kafka.topic_prefix)

    def send_bytes(self, topic: Topic, key: bytes, value: bytes | None) -> None:
        self.producer.produce(self.name(topic), key=key, value=value)

    def flush(self) -> None:
        assert self.producer.flush(DEADLINE_S) == 0

    def apply(self, text: str) -> None:
        """As ``mcenter mlapps apply`` does."""
        text = text.replace("mlapp: app", f"mlapp: {self.mlapp}")
        with DefinitionTopic(self.settings) as topic:
            wanted = to_record(
                parse_definition(text, "f"), text, version=0, applied_by="me", event_time_ms=START
            )
            new = next_version(topic.catch_up().get(wanted.mlapp_id), wanted)
            assert new is not None
            topic.apply(new)

    def origin(self, node: str = "predict", mlapp: str = "", pipeline: str = "") -> Origin:
        return Origin(
            mlapp_id=mlapp or self.mlapp, node_id=node, pipeline_instance_id=pipeline, agent_id="host"
        )

    def statistic(
        self, day: float, name: str, value: float, *, model: str = "", labels: Mapping[str, str] | None = None,
        mlapp: str = "", pipeline: str = "",
    ) -> None:  # fmt: skip
        """One sample; a similarity score has the label ``line``."""
        origin = self.origin(mlapp=mlapp, pipeline=pipeline)
        series = Series(
            name=name, model_id=model, category="TIME_SERIES", graph_type="LINEGRAPH", labels=labels or {},
            timestamps_ms=[START + day * DAY], values=[value],
        )  # fmt: skip
        batch = StatisticsBatch(origin=origin, producer_id="p", seq=self._next(), series=[series])
        self.send_bytes(STATISTICS, origin_key(origin), self.codec.encode(batch))

    def score(self, day: float, value: float, *, model: str, feature: str = "temp") -> None:
        labels = {"line": f"overlapScore_{feature}"}
        self.statistic(day, "continuousDataHistogram.overlapResult", value, model=model, labels=labels)

    def model(self, day: float, model_id: str, mlapp: str = "") -> None:
        announcement = ModelAnnouncement(
            origin=self.origin("train", mlapp), producer_id="p", seq=self._next(), event_time_ms=int(START + day * DAY),
            model_id=model_id, name=model_id, format="Json", description="", artifact_url="file:///m", file_name="m",
            is_directory=False, size_bytes=1, sha256="0", annotations={}, owner="", train_version="", model_version="",
        )  # fmt: skip
        self.send_bytes(MODELS, (mlapp or self.mlapp).encode(), self.codec.encode(announcement))

    def event(
        self,
        day: float,
        kind: str,
        *,
        model: str = "",
        is_alert: bool = False,
        title: str = "t",
        mlapp: str = "",
    ) -> str:
        """The event's id."""
        number = self._next()
        event = Event(
            origin=self.origin(mlapp=mlapp), producer_id="p", seq=number, event_time_ms=int(START + day * DAY),
            event_id=f"p-{number}", type=kind, title=title, description="d", is_alert=is_alert, model_id=model,
            labels={}, content_type="application/json", data=b"{}",
        )  # fmt: skip
        self.send_bytes(EVENTS, (mlapp or self.mlapp).encode(), self.codec.encode(event))
        return event.event_id

    def accept(self, day: float, model: str, mlapp: str = "") -> None:
        self.event(day, "ModelAccepted", model=model, mlapp=mlapp)

    def read(self, topic: Topic) -> list[Any]:
        """Records of a topic that are of this MLApp, each partition in its order; poison is left out."""
        name = self.name(topic)
        if name not in self._read:
            consumer = Consumer(reader_config(self.settings.kafka, "test"))
            partitions = consumer.list_topics(name, timeout=60).topics[name].partitions
            consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING) for partition in partitions])
            self._read[name] = (consumer, [])
        consumer, messages = self._read[name]
        places = [(name, each.partition) for each in consumer.assignment()]
        ends = self._ends(places)
        self._follow(consumer, ends, messages)
        return [record for message in messages if (record := self._mine(topic, message)) is not None]

    def _ends(self, places: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Where what transactions have committed ends."""
        asked = {TopicPartition(*place): OffsetSpec.latest() for place in places}
        futures = self.admin.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED)
        return {(at.topic, at.partition): future.result(DEADLINE_S).offset for at, future in futures.items()}

    def _follow(self, consumer: Consumer, ends: Mapping[tuple[str, int], int], messages: list[Any]) -> None:
        """Read on to ``ends``. Behind the last record of a partition there may be markers of transactions."""
        deadline = Deadline()
        while any(self._reached.get(place, 0) < end for place, end in ends.items()):
            deadline.check()
            for message in consumer.consume(500, timeout=0.2):
                place, at_end = (message.topic(), message.partition()), message.error() is not None
                self._reached[place] = message.offset() + (0 if at_end else 1)
                if not at_end:
                    messages.append(message)

    def _mine(self, topic: Topic, message: Any) -> Any:
        try:
            record = self.codec.decode(message.value(), topic.record)
        except DecodeError:
            return None
        return record if self.mlapp.encode() in {message.key(), getattr(record, "key", None)} else None

    def close(self) -> None:
        for consumer, _ in self._read.values():
            consumer.close()

    def _next(self) -> int:
        self._seq += 1
        return self._seq
