"""The topic catalogue: the only place that knows names, keys, partition counts, retention and cleanup policy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.schemas import records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

CONTROL_PARTITIONS = 8
"""Partition count of every control topic, which never changes: a Faust table takes its partition from the current record."""

DATA_PARTITIONS = 12
"""Partition count of the topics keyed by origin; may grow."""


def origin_key(origin: records.Origin) -> bytes:
    """Record key of an origin: its four ids, joined by ``/``."""
    return f"{origin.mlapp_id}/{origin.node_id}/{origin.pipeline_instance_id}/{origin.agent_id}".encode()


def _mlapp_key(record: Any) -> bytes:
    mlapp_id: str = record.origin.mlapp_id if hasattr(record, "origin") else record.mlapp_id
    return mlapp_id.encode()


@dataclass(frozen=True, slots=True)
class KeyedBy:
    """How the keys of a topic are made; records with the same key stay in order."""

    name: str
    of: Callable[[Any], bytes]
    """Key of a record."""


ORIGIN = KeyedBy("origin", lambda record: origin_key(record.origin))
MLAPP = KeyedBy("mlapp_id", _mlapp_key)
AGENT = KeyedBy("agent_id", lambda record: record.agent_id.encode())
SOURCE_TOPIC = KeyedBy("source topic", lambda letter: letter.source_topic.encode())
SILENCE = KeyedBy("silence_id", lambda silence: silence.silence_id.encode())
NOTIFICATION = KeyedBy("notification_id", lambda notification: notification.notification_id.encode())
STATE = KeyedBy(
    "kind, mlapp_id and name, as JSON",
    lambda state: json.dumps([state.kind, state.mlapp_id, state.name]).encode(),
)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: what travels on it, how it is keyed and retained."""

    name: str
    """Name without prefix."""
    record: type
    keyed_by: KeyedBy
    partitions: int
    retention_ms: int
    """How long records are retained; -1: indefinitely."""
    compacted: bool = False
    control: bool = False
    """Keyed by mlapp_id, with the partition count that all control topics share."""
    internal: bool = False
    """Between services of the platform; not stored in the warehouse."""
    extra: Mapping[str, str] = field(default_factory=dict)

    def full_name(self, prefix: str) -> str:
        """Name on the cluster."""
        return f"{prefix}{self.name}"

    def key(self, record: Any) -> bytes:
        """Key under which a record of this topic is sent."""
        return self.keyed_by.of(record)

    @property
    def subject(self) -> str:
        """Subject without prefix, by TopicNameStrategy."""
        return f"{self.name}-value"

    @property
    def config(self) -> dict[str, str]:
        """Topic settings as Kafka takes them. The broker's clock stamps every record: it is ``ingested_at``."""
        config = {"message.timestamp.type": "LogAppendTime", "retention.ms": str(self.retention_ms)}
        if self.compacted:
            # The upper bound is for what was erased: without one, a quiet topic would hold it for ever.
            config |= {
                "cleanup.policy": "compact",
                "min.compaction.lag.ms": str(7 * _DAY_MS),
                "max.compaction.lag.ms": str(14 * _DAY_MS),
            }
        else:
            config |= {"cleanup.policy": "delete"}
        return config | dict(self.extra)


def _control(
    name: str,
    record: type,
    *,
    retention_ms: int = 90 * _DAY_MS,
    compacted: bool = False,
    internal: bool = False,
) -> Topic:
    return Topic(
        name,
        record,
        MLAPP,
        CONTROL_PARTITIONS,
        retention_ms,
        compacted=compacted,
        control=True,
        internal=internal,
    )


STATISTICS = Topic("statistics", records.StatisticsBatch, ORIGIN, DATA_PARTITIONS, 7 * _DAY_MS)
STRUCTURED_STATISTICS = Topic(
    "structured-statistics", records.StructuredStatistic, ORIGIN, DATA_PARTITIONS, 7 * _DAY_MS
)
EVENTS = _control("events", records.Event)
KPIS = _control("kpis", records.KpiBatch)
MODELS = _control("models", records.ModelAnnouncement)
MLAPPS = _control("mlapps", records.MLAppDefinition, retention_ms=-1, compacted=True)
ALERTS = _control("alerts", records.AlertTransition)
DEPLOYMENTS = _control("deployments", records.DeploymentTransition)
ACTIONS = _control("actions", records.UserAction)
AGENTS = Topic("agents", records.AgentState, AGENT, CONTROL_PARTITIONS, -1, compacted=True)
HEARTBEATS = Topic("heartbeats", records.Heartbeat, AGENT, CONTROL_PARTITIONS, 6 * _HOUR_MS, internal=True)
DEAD_LETTERS = Topic("dead-letters", records.DeadLetter, SOURCE_TOPIC, CONTROL_PARTITIONS, 30 * _DAY_MS)
RULE_AGGREGATES = _control("rule-aggregates", records.RuleAggregate, retention_ms=_DAY_MS, internal=True)


def _changelog(name: str, partitions: int) -> Topic:
    """Changelog of processors: only the newest value of a key counts, and a restart reads all that is there."""
    settings = {
        "min.compaction.lag.ms": "0",
        "max.compaction.lag.ms": str(_DAY_MS),
        "min.cleanable.dirty.ratio": "0.2",
        "segment.bytes": str(16 << 20),
        "segment.ms": str(_HOUR_MS),
        "delete.retention.ms": str(_HOUR_MS),
    }
    record = records.ProcessorState
    return Topic(name, record, STATE, partitions, -1, compacted=True, internal=True, extra=settings)


SERIES_STATE = _changelog("series-state", DATA_PARTITIONS)
MLAPP_STATE = _changelog("mlapp-state", CONTROL_PARTITIONS)
SILENCES = Topic("silences", records.Silence, SILENCE, 1, -1, compacted=True, internal=True)
NOTIFICATIONS = Topic("notifications", records.Notification, NOTIFICATION, CONTROL_PARTITIONS, 90 * _DAY_MS)
NOTIFIER_STATE = _changelog("notifier-state", 1)
PREDICTIONS = Topic("predictions", records.Predictions, ORIGIN, DATA_PARTITIONS, 7 * _DAY_MS)
ACTUALS = _control("actuals", records.Actuals)
AGENT_COMMANDS = Topic(
    "agent-commands", records.AgentCommand, AGENT, CONTROL_PARTITIONS, 7 * _DAY_MS, internal=True
)
RUN_REPORTS = _control("run-reports", records.RunReport, retention_ms=7 * _DAY_MS, internal=True)
RUNS = _control("runs", records.RunTransition)
LOGS = Topic("logs", records.LogLines, ORIGIN, DATA_PARTITIONS, 3 * _DAY_MS)

CATALOGUE: tuple[Topic, ...] = tuple(found for found in list(globals().values()) if isinstance(found, Topic))
"""Every topic of the platform, in the order above. Append only: a record's schema ids depend on its position."""


def by_name(name: str, prefix: str = "") -> Topic:
    """Topic of a name, with or without ``prefix``; raises ``KeyError`` with the names there are."""
    bare = name.removeprefix(prefix) if prefix else name
    for topic in CATALOGUE:
        if bare == topic.name:
            return topic
    raise KeyError(
        f"unknown topic {name!r}; there are: {', '.join(topic.full_name(prefix) for topic in CATALOGUE)}"
    )
