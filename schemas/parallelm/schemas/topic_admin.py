"""Topics of the catalogue on a live cluster: create, check, list."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import RefusedConnections, client_config
from parallelm.schemas.errors import ClusterUnavailableError, TopicsError
from parallelm.schemas.topics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic

_MAX_REPLICATION = 3
_RETRY_S = 0.05


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """One difference between a topic on the cluster and the catalogue."""

    topic: str
    """Name with prefix."""
    what: str
    """``topic``, ``partitions``, ``replication factor`` or the name of a setting."""
    expected: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.found}, expected {self.expected}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class LiveTopic:
    """A topic of the catalogue as it is on the cluster."""

    topic: Topic
    name: str
    """Name with prefix."""
    partitions: int
    """0 when the topic is missing."""
    records: int
    """Offsets between the start and the end of the log: an upper bound of the records it holds."""


def create_topics(settings: Settings, *, timeout_s: float = 30.0) -> list[str]:
    """Create what is missing and return the names created, with prefix. Topics that exist are left alone.

    When this returns, every partition of what was missing is served. Raises ``ClusterUnavailableError`` when no broker answers, ``TopicsError`` when one refuses.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic, OffsetSpec

    admin, metadata = connect(settings, timeout_s)
    prefix = settings.kafka.topic_prefix
    replication = _replication_factor(metadata)
    wanted = [
        NewTopic(topic.full_name(prefix), topic.partitions, replication, config=topic.config)
        for topic in CATALOGUE
        if topic.full_name(prefix) not in metadata.topics
    ]
    if not wanted:
        return []
    created: list[str] = []
    for name, future in admin.create_topics(wanted, operation_timeout=timeout_s).items():
        try:
            future.result(timeout_s)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            raise TopicsError(f"topic {name!r} was not created: {error.args[0].str()}") from error
        created.append(name)
    counts = {topic.full_name(prefix): topic.partitions for topic in CATALOGUE}
    # Also those that somebody else has made meanwhile: a broker says that they are there some time before it serves them.
    places = [(topic.topic, number) for topic in wanted for number in range(counts[topic.topic])]
    log_offsets(admin, places, OffsetSpec.latest(), timeout_s)
    return created


def check_topics(settings: Settings, *, timeout_s: float = 15.0) -> list[TopicDifference]:
    """Differences between the cluster and the catalogue; empty when there are none.

    Raises ``ClusterUnavailableError`` when no broker answers, ``TopicsError`` when one refuses.
    """
    admin, metadata = connect(settings, timeout_s)
    prefix = settings.kafka.topic_prefix
    present = [topic for topic in CATALOGUE if topic.full_name(prefix) in metadata.topics]
    configs = topic_configs(admin, [topic.full_name(prefix) for topic in present], timeout_s)
    differences: list[TopicDifference] = []
    for topic in CATALOGUE:
        name = topic.full_name(prefix)
        if topic in present:
            differences += _layout_differences(topic, name, metadata)
            differences += _config_differences(topic, name, configs[name])
        else:
            differences.append(
                TopicDifference(
                    name,
                    "topic",
                    "present",
                    "missing",
                    "create it with `mcenter topics create`, unless this user may not see it",
                )
            )
    return differences


def list_topics(settings: Settings, *, timeout_s: float = 15.0) -> list[LiveTopic]:
    """Every topic of the catalogue, with its partitions and records on the cluster.

    Raises ``ClusterUnavailableError`` when no broker answers, ``TopicsError`` when one refuses.
    """
    admin, metadata = connect(settings, timeout_s)
    prefix = settings.kafka.topic_prefix
    counts = {
        topic.full_name(prefix): len(metadata.topics[topic.full_name(prefix)].partitions)
        for topic in CATALOGUE
        if topic.full_name(prefix) in metadata.topics
    }
    places = [(name, number) for name, count in counts.items() for number in range(count)]
    records = dict.fromkeys(counts, 0)
    for (name, _), (first, end) in log_bounds(admin, places, timeout_s).items():
        records[name] += end - first
    return [
        LiveTopic(topic, name, counts.get(name, 0), records.get(name, 0))
        for topic in CATALOGUE
        for name in [topic.full_name(prefix)]
    ]


def topic_ids(admin: Any, names: Iterable[str], timeout_s: float) -> dict[str, str]:
    """Id by topic name: a topic that was deleted and created again is another topic, with offsets from 0.

    Raises ``TopicsError`` for a topic that is missing, ``ClusterUnavailableError`` when no broker answers.
    """
    found, missing = find_topics(admin, names, timeout_s)
    for error in missing.values():
        raise error
    return found


def find_topics(
    admin: Any, names: Iterable[str], timeout_s: float
) -> tuple[dict[str, str], dict[str, TopicsError]]:
    """Id by topic name, and by name what is wrong with those that are missing or not shown to this user.

    Raises ``ClusterUnavailableError`` when no broker answers, ``TopicsError`` for another refusal.
    """
    from confluent_kafka import KafkaError, KafkaException, TopicCollection

    wanted = sorted(set(names))
    if not wanted:
        return {}, {}
    _metadata(admin, timeout_s)
    described = admin.describe_topics(TopicCollection(wanted), request_timeout=timeout_s)
    found: dict[str, str] = {}
    missing: dict[str, TopicsError] = {}
    for name, future in described.items():
        try:
            found[name] = str(future.result(timeout_s).topic_id)
        except KafkaException as error:
            reason = error.args[0]
            refused = reason.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
            command = "see `mcenter topics acls`" if refused else "create it with `mcenter topics create`"
            told = TopicsError(f"topic {name!r}: {reason.str()}; {command}")
            if not refused and reason.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise told from error
            missing[name] = told
        except TimeoutError as error:
            raise ClusterUnavailableError(f"no answer about topic {name!r} within {timeout_s:g} s") from error
    return found, missing


def log_bounds(
    admin: Any, places: Sequence[tuple[str, int]], timeout_s: float
) -> dict[tuple[str, int], tuple[int, int]]:
    """First offset of the log and the one after its last, by ``(topic, partition)``; raises as ``log_offsets``."""
    from confluent_kafka.admin import OffsetSpec

    firsts = log_offsets(admin, places, OffsetSpec.earliest(), timeout_s)
    ends = log_offsets(admin, places, OffsetSpec.latest(), timeout_s)
    return {place: (firsts[place], ends[place]) for place in places}


def log_offsets(
    admin: Any, places: Sequence[tuple[str, int]], spec: Any, timeout_s: float
) -> dict[tuple[str, int], int]:
    """Offset that ``spec`` (an ``OffsetSpec``) means in each ``(topic, partition)``; -1 where there is none.

    Waits for partitions that are being created or change their leader. Raises ``ClusterUnavailableError`` when that
    takes longer than ``timeout_s``, ``TopicsError`` when a broker refuses.
    """
    from confluent_kafka import KafkaException, TopicPartition

    deadline = time.monotonic() + timeout_s
    found: dict[tuple[str, int], int] = {}
    while missing := [place for place in places if place not in found]:
        asked = admin.list_offsets(
            {TopicPartition(*place): spec for place in missing}, request_timeout=timeout_s
        )
        for partition, future in asked.items():
            place = partition.topic, partition.partition
            try:
                found[place] = future.result(timeout_s).offset
            except KafkaException as error:
                reason = error.args[0]
                if reason.code() not in transient_codes():
                    raise TopicsError(
                        f"topic {place[0]!r} cannot report its offsets: {reason.str()}"
                    ) from error
                if time.monotonic() > deadline:
                    raise ClusterUnavailableError(
                        f"partition {place[1]} of topic {place[0]!r} was not served within {timeout_s:g} s: "
                        f"{reason.str()}"
                    ) from error
        if len(found) < len(places):
            time.sleep(_RETRY_S)
            # The client caches for half a minute that a topic is missing; this refreshes its metadata.
            _metadata(admin, timeout_s)
    return found


def transient_codes() -> set[int]:
    """Errors of a cluster whose partitions are being created or change their leader, or that is away for a moment."""
    from confluent_kafka import KafkaError

    return {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError._TRANSPORT,  # noqa: SLF001 - the client's public names, as the next three
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._NOENT,  # noqa: SLF001 - "no leaders found": the topic is still being created
    }


def connect(settings: Settings, timeout_s: float) -> tuple[Any, Any]:
    """Admin client and the cluster's metadata; the client must outlive the futures it returns.

    Raises ``ClusterUnavailableError`` when no broker answers in time.
    """
    from confluent_kafka.admin import AdminClient

    refused = RefusedConnections()
    # Its log lines would only repeat what is raised.
    admin = AdminClient(client_config(settings.kafka) | {"error_cb": refused.note, "log_level": 2})
    try:
        return admin, _metadata(admin, timeout_s)
    except ClusterUnavailableError as error:
        reason = refused.reason(admin)
        remedy = (
            "check MCENTER_KAFKA_SASL_… and MCENTER_KAFKA_SSL_…"
            if reason
            else "start one with `mcenter up`, or set MCENTER_KAFKA_BOOTSTRAP_SERVERS"
        )
        raise ClusterUnavailableError(
            f"no Kafka broker answered at {settings.kafka.bootstrap_servers!r} within {timeout_s:g} s: {error}{reason}; "
            f"{remedy}"
        ) from error


def require_topic(settings: Settings, name: str, timeout_s: float) -> None:
    """Raise ``TopicsError`` when there is no topic ``name`` (with prefix), ``ClusterUnavailableError`` without a broker."""
    if name not in connect(settings, timeout_s)[1].topics:
        raise TopicsError(f"topic {name!r} is not on the cluster; create it with `mcenter topics create`")


def _metadata(admin: Any, timeout_s: float) -> Any:
    from confluent_kafka import KafkaException

    try:
        return admin.list_topics(timeout=timeout_s)
    except KafkaException as error:
        raise ClusterUnavailableError(error.args[0].str()) from error


def _replication_factor(metadata: Any) -> int:
    return min(_MAX_REPLICATION, len(metadata.brokers))


def _layout_differences(topic: Topic, name: str, metadata: Any) -> Iterator[TopicDifference]:
    partitions = metadata.topics[name].partitions
    count = len(partitions)
    if topic.control and count != topic.partitions:
        yield TopicDifference(
            name,
            "partitions",
            f"exactly {topic.partitions}, as all control topics",
            str(count),
            "its partition count must not change: recreate the topic and copy its records",
        )
    elif count < topic.partitions:
        yield TopicDifference(
            name, "partitions", f"at least {topic.partitions}", str(count), "add partitions to it"
        )
    wanted = _replication_factor(metadata)
    replicas = min((len(partition.replicas) for partition in partitions.values()), default=0)
    if replicas < wanted:
        yield TopicDifference(
            name, "replication factor", f"at least {wanted}", str(replicas), "reassign its partitions"
        )


def _config_differences(topic: Topic, name: str, found: dict[str, str]) -> Iterator[TopicDifference]:
    for setting, expected in topic.config.items():
        value = found.get(setting, "")
        if value != expected:
            yield TopicDifference(
                name, setting, expected, value or "unset", "set it with `kafka-configs --alter`"
            )


def topic_configs(admin: Any, names: list[str], timeout_s: float) -> dict[str, dict[str, str]]:
    """Settings of topics by name (with prefix), as the cluster has them; raises ``TopicsError`` when it does not tell."""
    from confluent_kafka.admin import ConfigResource, ResourceType

    if not names:
        return {}
    asked = admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name) for name in names], request_timeout=timeout_s
    )
    return {
        resource.name: {
            setting: str(entry.value) for setting, entry in _result(future, resource.name, timeout_s).items()
        }
        for resource, future in asked.items()
    }


def _result(future: Any, topic: str, timeout_s: float) -> Any:
    from confluent_kafka import KafkaException

    try:
        return future.result(timeout_s)
    except KafkaException as error:
        raise TopicsError(f"the cluster does not describe topic {topic!r}: {error.args[0].str()}") from error
