"""The records on the topics as typed Python, one class for each record of the packaged ``.avsc`` files.

The ``doc`` of each field in ``avro/*.avsc`` gives its meaning and unit; names and order are the same here.
Times are epoch milliseconds UTC (``…_ms``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence  # noqa: TC003 - the codec reads the annotations at run time
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who reports: one pipeline run of one node of one MLApp on one host."""

    mlapp_id: str
    node_id: str
    pipeline_instance_id: str
    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Samples of one statistic with one set of labels. timestamps_ms and values have equal lengths."""

    name: str
    model_id: str
    category: str
    graph_type: str
    labels: Mapping[str, str]
    timestamps_ms: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsBatch:
    """Numbers: many series of samples from one component. The hot path."""

    origin: Origin
    producer_id: str
    seq: int
    series: Sequence[Series]


class HistogramKind(StrEnum):
    """Whether edges or categories describe the bins."""

    CONTINUOUS = "continuous"
    CATEGORICAL = "categorical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Distribution of one feature over the bins of its training (or its own)."""

    feature: str
    kind: HistogramKind
    edges: Sequence[float]
    categories: Sequence[str]
    weights: Sequence[float]
    row_count: int = 0
    """Rows that the distribution describes, including those with a missing value; 0 when unknown."""
    missing_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredStatistic:
    """A statistic that is not a single number: table, graph, bar graph, histogram set, heat map, opaque or HTML."""

    origin: Origin
    producer_id: str
    seq: int
    event_time_ms: int
    name: str
    model_id: str
    graph_type: str
    mode: str
    labels: Mapping[str, str]
    content_type: str
    data: bytes
    histograms: Sequence[Histogram]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened in a component, or the component raises an alert."""

    origin: Origin
    producer_id: str
    seq: int
    event_time_ms: int
    event_id: str
    type: str
    title: str
    description: str
    is_alert: bool
    model_id: str
    labels: Mapping[str, str]
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiPoint:
    """One value of one KPI."""

    name: str
    labels: Mapping[str, str]
    timestamp_ms: int
    value: float
    model_id: str
    withdrawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiBatch:
    """Points of business KPIs. A new upload of the same point is a revision of it, and so is its withdrawal."""

    origin: Origin
    producer_id: str
    seq: int
    source: str
    points: Sequence[KpiPoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnnouncement:
    """A model was trained (or uploaded) and its file is in the artifact store. Never the bytes."""

    origin: Origin
    producer_id: str
    seq: int
    event_time_ms: int
    model_id: str
    name: str
    format: str
    description: str
    artifact_url: str
    file_name: str
    is_directory: bool
    size_bytes: int
    sha256: str
    annotations: Mapping[str, str]
    owner: str
    train_version: str
    model_version: str
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One step of the MLApp."""

    node_id: str
    name: str
    type: str
    mode: str
    schedule: str
    parents: Sequence[str]
    pipeline: str
    consumes: Sequence[str]
    running_json: str = "{}"


class ModelPolicy(StrEnum):
    """When a newly announced model is deployed."""

    ALWAYS_UPDATE = "always_update"
    MANUAL = "manual"
    CANARY = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Model policy and thresholds."""

    model_policy: ModelPolicy
    health_threshold: float
    canary_threshold: float
    accept_timeout_ms: int
    parameters_json: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """One alert rule: the fields that all types share, and the others as JSON."""

    name: str
    type: str
    statistic: str
    node_id: str
    match_labels: Mapping[str, str]
    for_ms: int
    keep_firing_for_ms: int
    severity: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    parameters_json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MLAppDefinition:
    """An MLApp as its engineers define it; the newest record of a key is the current one."""

    event_time_ms: int
    mlapp_id: str
    name: str
    description: str
    version: int
    applied_by: str
    nodes: Sequence[Node]
    policy: Policy
    node_policies: Mapping[str, Policy] = field(default_factory=dict)
    rules: Sequence[AlertRule]
    source_yaml: str
    stage: str = "production"
    """``production`` or ``sandbox``."""


class AlertState(StrEnum):
    """State of an alert."""

    UNKNOWN = "unknown"
    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPosition:
    """Position on Kafka of the record that caused this one."""

    topic: str
    partition: int
    offset: int


NO_RECORD = RecordPosition(topic="", partition=-1, offset=-1)
"""Cause of what time alone has caused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTransition:
    """An alert changed its state."""

    event_time_ms: int
    decided_at_ms: int
    transition_id: str
    mlapp_id: str
    alert_id: str
    fingerprint: str
    rule: str
    rule_type: str
    state: AlertState
    previous_state: AlertState
    severity: str
    started_at_ms: int
    value: float
    threshold: float
    statistic: str
    node_id: str
    model_id: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    reason: str
    who: str
    supersedes: str
    cause: RecordPosition


class DeploymentState(StrEnum):
    """State of a deployment."""

    UNKNOWN = "unknown"
    HELD = "held"
    AWAITING_APPROVAL = "awaiting_approval"
    CANARY = "canary"
    REQUESTED = "requested"
    ACCEPTED = "accepted"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    REJECTED = "rejected"
    REMOVED = "removed"
    SKIPPED = "skipped"
    PINNED = "pinned"
    UNPINNED = "unpinned"
    REFUSED = "refused"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentTransition:
    """A deployment of a model to a node changed its state, or it was decided not to deploy."""

    event_time_ms: int
    decided_at_ms: int
    transition_id: str
    mlapp_id: str
    node_id: str
    model_id: str
    deployment_id: str
    attempt: int = 0
    state: DeploymentState
    previous_state: DeploymentState
    policy: ModelPolicy
    reason: str
    who: str
    related_model_id: str
    agent_id: str
    evidence_json: str = "{}"
    cause: RecordPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAction:
    """A person's decision. The audit log."""

    event_time_ms: int
    action_id: str
    mlapp_id: str
    who: str
    authenticated_by: str
    action: str
    node_id: str
    model_id: str
    target: str
    comment: str
    parameters: Mapping[str, str]
    imported_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineState:
    """One pipeline on this agent."""

    mlapp_id: str
    node_id: str
    pipeline_instance_id: str
    state: str
    pid: int
    since_ms: int
    message: str
    run_id: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """A host agent with its pipelines; the newest record of a key is the current one."""

    event_time_ms: int
    agent_id: str
    hostname: str
    version: str
    labels: Mapping[str, str]
    pipelines: Sequence[PipelineState]
    state: str = "ready"
    """``ready``, ``draining``, ``drained``, ``ended`` or ``removed``."""
    epoch: int = 0
    installation_id: str = ""
    address: str = ""
    cpus: float = 0.0
    memory_bytes: int = 0
    runners: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """An agent is alive."""

    event_time_ms: int
    agent_id: str
    hostname: str
    seq: int
    epoch: int = 0
    installation_id: str = ""
    state: str = "ready"
    runs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that could not be handled, with its bytes and the reason."""

    failed_at_ms: int
    source_topic: str
    topic_id: str
    source_partition: int
    source_offset: int
    stage: str
    error_type: str
    error: str
    consumer_group: str
    size_bytes: int
    is_cut: bool
    key: bytes | None
    value: bytes | None


class AggregateKind(StrEnum):
    """What a RuleAggregate says."""

    UNKNOWN = "unknown"
    STEP = "step"
    SEEN = "seen"
    PARTIAL = "partial"
    SAMPLES = "samples"
    DISTRIBUTION = "distribution"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleAggregate:
    """Internal: what the MLApp's alerts and policy must know of statistics that somebody watches."""

    origin: Origin
    kind: AggregateKind
    rule: str
    rule_form: str = ""
    statistic: str
    model_id: str
    labels: Mapping[str, str]
    event_time_ms: int
    state: AlertState = AlertState.UNKNOWN
    previous_state: AlertState = AlertState.UNKNOWN
    started_at_ms: int = 0
    value: float = math.nan
    threshold: float = math.nan
    reason: str = ""
    timestamps_ms: Sequence[float] = ()
    values: Sequence[float] = ()
    data: str = ""
    cause: RecordPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorState:
    """Internal: what stream processors remember for one key, so that another worker can go on from it."""

    kind: str
    mlapp_id: str
    name: str
    version: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMatcher:
    """A condition on one label."""

    label: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Notifications of alerts with certain labels are muted for a time; the newest record of a key is the current one."""

    silence_id: str
    matchers: Sequence[LabelMatcher]
    starts_at_ms: int
    ends_at_ms: int
    who: str
    comment: str
    created_at_ms: int


class NotificationState(StrEnum):
    """State of a notification."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message to one receiver about one group of alerts or deployments: decided on, sent or given up."""

    event_time_ms: int
    notification_id: str
    state: NotificationState
    receiver: str
    target: str
    route: str
    group_labels: Mapping[str, str]
    status: str
    firing: int
    resolved: int
    mlapp_ids: Sequence[str]
    transition_ids: Sequence[str]
    title: str
    body: str
    created_at_ms: int
    attempts: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Predictions of one model, in parallel arrays: what is compared with outcomes that become known later."""

    origin: Origin
    producer_id: str
    seq: int
    outcome: str
    kind: str
    model_id: str
    sampled_share: float
    ids: Sequence[str]
    timestamps_ms: Sequence[int]
    values: Sequence[float]
    classes: Sequence[str]
    features: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actuals:
    """Outcomes that became known, in parallel arrays. A new outcome of the same id is a revision."""

    origin: Origin
    producer_id: str
    seq: int
    source: str
    outcome: str
    ids: Sequence[str]
    timestamps_ms: Sequence[int]
    values: Sequence[str]


class CommandKind(StrEnum):
    """What an agent is to do."""

    UNKNOWN = "unknown"
    START = "start"
    STOP = "stop"
    DELIVER_MODEL = "deliver_model"
    DRAIN = "drain"
    RESUME = "resume"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCommand:
    """What an agent is to do; a command that comes again changes nothing."""

    event_time_ms: int
    command_id: str
    agent_id: str
    epoch: int
    kind: CommandKind
    mlapp_id: str
    node_id: str
    run_id: str
    attempt: int
    expires_at_ms: int
    reason: str
    spec_json: str = "{}"


class RunReportKind(StrEnum):
    """What an agent says of a run."""

    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    STARTED = "started"
    RESTARTED = "restarted"
    ENDED = "ended"
    RENEWED = "renewed"
    MODEL_ACCEPTED = "model_accepted"
    MODEL_REFUSED = "model_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What an agent says of a run, for the control plane."""

    event_time_ms: int
    mlapp_id: str
    node_id: str
    run_id: str
    attempt: int
    agent_id: str
    epoch: int
    seq: int
    kind: RunReportKind
    outcome: str = ""
    """Of an end: ``succeeded``, ``failed``, ``stopped``, ``timed_out``, ``lease_lost`` or ``lost``.

    Of a refusal: ``failed`` when no agent can start the run, now or later.
    """
    exit_code: int = 0
    pid: int = 0
    starts: int = 0
    model_id: str = ""
    message: str = ""
    runs: Sequence[str] = ()
    attempts: Sequence[int] = ()
    """Of ``runs``: the two lists have equal lengths."""


class RunState(StrEnum):
    """State of a run."""

    UNKNOWN = "unknown"
    WAITING = "waiting"
    """Due; no agent has it yet."""
    ASSIGNED = "assigned"
    """An agent was told to start it."""
    RUNNING = "running"
    UNREACHABLE = "unreachable"
    """Its agent is not heard of; a pinned run is taken to go on there."""
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    MISSED = "missed"
    """Was due and never began; the reason says why."""
    LOST = "lost"
    """Began, and nobody will know how it ended."""
    LAUNCHED = "launched"
    """Of an MLApp, as what follows: ``run_id`` is empty."""
    PAUSED = "paused"
    RESUMED = "resumed"
    ARCHIVED = "archived"
    DELETED = "deleted"
    REFUSED = "refused"
    """The answer to a person who asked for what cannot be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTransition:
    """A run of a node changed its state, or a person's action on an MLApp was answered (``run_id`` is empty)."""

    event_time_ms: int
    decided_at_ms: int
    transition_id: str
    mlapp_id: str
    node_id: str
    pipeline_instance_id: str
    instance: int
    run_id: str
    attempt: int
    state: RunState
    previous_state: RunState
    agent_id: str
    reason: str
    trigger: str
    trigger_id: str
    due_at_ms: int
    definition_version: int
    model_id: str
    exit_code: int
    starts: int
    who: str
    cause: RecordPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLines:
    """Lines that a pipeline has written, in order; the three lists have equal lengths."""

    origin: Origin
    run_id: str
    attempt: int
    step_id: str
    first_line: int
    dropped: int
    timestamps_ms: Sequence[int]
    streams: Sequence[str]
    lines: Sequence[str]
