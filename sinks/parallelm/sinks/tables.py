"""Which table each topic goes to, and which column takes what: the sink's half of the warehouse contract."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.schemas import records, topics
from parallelm.sinks.errors import InvalidRecordError
from parallelm.sinks.record_rows import RecordRows, TableSpec, attributes
from parallelm.sinks.statistics_rows import StatisticsRows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelm.schemas.registry import Registry
    from parallelm.schemas.topics import Topic
    from parallelm.sinks.rows import RowMaker

_ORIGIN = attributes(
    "origin.mlapp_id",
    "origin.node_id",
    "origin.pipeline_instance_id",
    "origin.agent_id",
    "producer_id",
    "seq",
)
_TIME = {"event_time": attrgetter("event_time_ms")}
_DECISION = _TIME | {
    "decided_at": attrgetter("decided_at_ms"),
    "cause_topic": attrgetter("cause.topic"),
    "cause_partition": attrgetter("cause.partition"),
    "cause_offset": attrgetter("cause.offset"),
}


def _each(
    items: str, field: str, convert: Callable[[Any], Any] = lambda value: value
) -> Callable[[Any], list[Any]]:
    """Column of an array: ``field`` of each of ``items``."""
    take_items, take_field = attrgetter(items), attrgetter(field)
    return lambda source: [convert(take_field(item)) for item in take_items(source)]


def _arrays(column: str, items: str, fields: Sequence[str]) -> dict[str, Callable[[Any], Any]]:
    """Nested columns ``column.field`` from plain fields of each of ``items``."""
    return {f"{column}.{field}": _each(items, field) for field in fields}


def _check_histograms(statistic: records.StructuredStatistic) -> None:
    for histogram in statistic.histograms:
        bins = len(histogram.weights)
        if histogram.kind is records.HistogramKind.CATEGORICAL:
            fits = len(histogram.categories) == bins
        else:
            fits = len(histogram.edges) == bins + 1 or not (bins or histogram.edges)
        if not fits:
            raise InvalidRecordError(
                f"{histogram.kind} histogram of {histogram.feature!r} has {bins} weights, "
                f"{len(histogram.edges)} edges and {len(histogram.categories)} categories"
            )


STRUCTURED_STATISTICS = TableSpec(
    table="structured_statistics",
    record=records.StructuredStatistic,
    columns=_ORIGIN
    | _TIME
    | attributes("name", "model_id", "graph_type", "mode", "labels", "content_type", "data")
    | _arrays(
        "histograms",
        "histograms",
        ("feature", "edges", "categories", "weights", "row_count", "missing_count"),
    )
    | {"histograms.kind": _each("histograms", "kind.value")},
    times=("event_time",),
    check=_check_histograms,
)

EVENTS = TableSpec(
    table="events",
    record=records.Event,
    columns=_ORIGIN
    | _TIME
    | attributes(
        "event_id", "type", "title", "description", "is_alert", "model_id", "labels", "content_type", "data"
    ),
    times=("event_time",),
)


class _KpiRow(NamedTuple):
    batch: records.KpiBatch
    point: records.KpiPoint


KPIS = TableSpec(
    table="kpis",
    record=records.KpiBatch,
    columns=attributes(
        "batch.origin.mlapp_id",
        "batch.origin.node_id",
        "batch.origin.pipeline_instance_id",
        "batch.origin.agent_id",
        "batch.producer_id",
        "batch.seq",
        "batch.source",
        "point.name",
        "point.value",
        "point.model_id",
    )
    | {
        # Points with the same labels are the same point, in whatever order the labels came.
        "labels": lambda row: dict(sorted(row.point.labels.items())),
        "event_time": attrgetter("point.timestamp_ms"),
    },
    times=("event_time",),
    sources=lambda batch: [_KpiRow(batch, point) for point in batch.points],
    numbered=True,
)

MODELS = TableSpec(
    table="models_log",
    record=records.ModelAnnouncement,
    columns=_ORIGIN
    | _TIME
    | attributes(
        "model_id",
        "name",
        "format",
        "description",
        "artifact_url",
        "file_name",
        "is_directory",
        "size_bytes",
        "sha256",
        "annotations",
        "owner",
        "train_version",
        "model_version",
    ),
    times=("event_time",),
    replaceable=True,
)

ALERTS = TableSpec(
    table="alert_transitions_log",
    record=records.AlertTransition,
    columns=_DECISION
    | attributes(
        "mlapp_id",
        "transition_id",
        "alert_id",
        "fingerprint",
        "rule",
        "rule_type",
        "severity",
        "value",
        "threshold",
        "statistic",
        "node_id",
        "model_id",
        "labels",
        "annotations",
        "reason",
        "who",
        "supersedes",
    )
    | {
        "state": attrgetter("state.value"),
        "previous_state": attrgetter("previous_state.value"),
        "started_at": attrgetter("started_at_ms"),
    },
    times=("event_time", "decided_at", "started_at"),
    replaceable=True,
)

DEPLOYMENTS = TableSpec(
    table="deployments_log",
    record=records.DeploymentTransition,
    columns=_DECISION
    | attributes(
        "mlapp_id",
        "transition_id",
        "node_id",
        "model_id",
        "deployment_id",
        "reason",
        "who",
        "related_model_id",
        "agent_id",
    )
    | {
        "state": attrgetter("state.value"),
        "previous_state": attrgetter("previous_state.value"),
        "policy": attrgetter("policy.value"),
    },
    times=("event_time", "decided_at"),
    replaceable=True,
)

ACTIONS = TableSpec(
    table="actions",
    record=records.UserAction,
    columns=_TIME
    | attributes(
        "mlapp_id", "action_id", "who", "action", "node_id", "model_id", "target", "comment", "parameters"
    ),
    times=("event_time",),
)


class _Version(NamedTuple):
    """A record of a compacted topic: a new version, or with ``is_deleted`` a tombstone."""

    record: Any
    is_deleted: bool


def _removed_mlapp(mlapp_id: str, arrived_at_ms: int) -> list[_Version]:
    policy = records.Policy(
        model_policy=records.ModelPolicy.ALWAYS_UPDATE,
        health_threshold=0.0,
        canary_threshold=0.0,
        accept_timeout_ms=0,
    )
    empty = records.MLAppDefinition(
        event_time_ms=arrived_at_ms,
        mlapp_id=mlapp_id,
        name="",
        description="",
        version=0,
        applied_by="",
        nodes=(),
        policy=policy,
        rules=(),
        source_yaml="",
    )
    return [_Version(empty, is_deleted=True)]


MLAPPS = TableSpec(
    table="mlapps",
    record=records.MLAppDefinition,
    columns=attributes(
        "is_deleted",
        "record.mlapp_id",
        "record.name",
        "record.description",
        "record.version",
        "record.applied_by",
        "record.policy.health_threshold",
        "record.policy.canary_threshold",
        "record.policy.accept_timeout_ms",
        "record.source_yaml",
    )
    | {
        "event_time": attrgetter("record.event_time_ms"),
        "model_policy": attrgetter("record.policy.model_policy.value"),
    }
    | _arrays(
        "nodes",
        "record.nodes",
        ("node_id", "name", "type", "mode", "schedule", "pipeline", "parents", "consumes"),
    )
    | _arrays(
        "rules",
        "record.rules",
        ("name", "type", "statistic", "node_id", "for_ms", "severity", "parameters_json"),
    ),
    times=("event_time",),
    sources=lambda record: [_Version(record, is_deleted=False)],
    tombstone=_removed_mlapp,
)


def _removed_agent(agent_id: str, arrived_at_ms: int) -> list[_Version]:
    empty = records.AgentState(
        event_time_ms=arrived_at_ms, agent_id=agent_id, hostname="", version="", labels={}, pipelines=()
    )
    return [_Version(empty, is_deleted=True)]


AGENTS = TableSpec(
    table="agents",
    record=records.AgentState,
    columns=attributes("is_deleted", "record.agent_id", "record.hostname", "record.version", "record.labels")
    | {
        "event_time": attrgetter("record.event_time_ms"),
        "pipelines.since": _each("record.pipelines", "since_ms"),
    }
    | _arrays(
        "pipelines",
        "record.pipelines",
        ("mlapp_id", "node_id", "pipeline_instance_id", "state", "pid", "message"),
    ),
    times=("event_time", "pipelines.since"),
    sources=lambda record: [_Version(record, is_deleted=False)],
    tombstone=_removed_agent,
)

DEAD_LETTERS = TableSpec(
    table="dead_letters_log",
    record=records.DeadLetter,
    columns=attributes(
        "source_topic",
        "topic_id",
        "source_partition",
        "source_offset",
        "stage",
        "error_type",
        "error",
        "consumer_group",
        "size_bytes",
        "is_cut",
        "key",
        "value",
    )
    | {"failed_at": attrgetter("failed_at_ms")},
    times=("failed_at",),
    replaceable=True,
)

SPECS: dict[str, TableSpec] = {
    topics.STRUCTURED_STATISTICS.name: STRUCTURED_STATISTICS,
    topics.EVENTS.name: EVENTS,
    topics.KPIS.name: KPIS,
    topics.MODELS.name: MODELS,
    topics.MLAPPS.name: MLAPPS,
    topics.ALERTS.name: ALERTS,
    topics.DEPLOYMENTS.name: DEPLOYMENTS,
    topics.ACTIONS.name: ACTIONS,
    topics.AGENTS.name: AGENTS,
    topics.DEAD_LETTERS.name: DEAD_LETTERS,
}
"""Topic name to table, for every topic but statistics, which is unfolded by the server."""

STORED_TOPICS: tuple[Topic, ...] = tuple(topic for topic in topics.CATALOGUE if not topic.internal)
"""Topics that the warehouse keeps."""


def stored_in(topic: Topic) -> str:
    """Table in which the rows of a stored topic can be found."""
    if topic.name == topics.STATISTICS.name:
        return "statistics"
    spec = SPECS[topic.name]
    return spec.stored_in or spec.table


def row_maker(topic: Topic, registry: Registry) -> RowMaker:
    """What makes the rows of a stored topic."""
    if topic.name == topics.STATISTICS.name:
        return StatisticsRows(registry)
    return RecordRows(SPECS[topic.name], registry)
