"""The fields of an MLApp file, their types and their defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from parallelm.definitions.durations import parse_duration
from parallelm.schemas.records import ModelPolicy

DEFAULT_HEALTH_THRESHOLD = 0.2
DEFAULT_GRACE_MS = 10 * 60_000

Name = Annotated[str, Field(min_length=1, max_length=200)]
Identifier = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Ids stand in record keys and file names: letters, digits, dot, dash and underscore."""
DurationMs = Annotated[int, BeforeValidator(parse_duration)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
NodeType = Literal[
    "model_producer", "model_consumer", "model_producer_consumer", "pipeline_comparator", "auxiliary"
]


class Entry(BaseModel):
    """A mapping of the file: no key beyond those declared, no type guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NodeEntry(Entry):
    """One step of the MLApp."""

    id: Identifier
    name: Name | None = None
    type: NodeType
    mode: Literal["offline", "online"] = "offline"
    schedule: str = ""
    parents: list[Identifier] = []
    pipeline: str = ""
    consumes: list[Identifier] = []


class PolicyEntry(Entry):
    """When a new model is deployed, and the thresholds that components may ask for."""

    model_policy: Literal["always_update"] = ModelPolicy.ALWAYS_UPDATE.value
    health_threshold: Score = DEFAULT_HEALTH_THRESHOLD
    canary_threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    accept_timeout: DurationMs = 0


class RuleEntry(Entry):
    """What every alert rule has. ``for`` is a word of Python, hence the alias."""

    name: Name
    node: Identifier | None = None
    for_ms: DurationMs = Field(default=0, alias="for")
    keep_firing_for: DurationMs = 0
    grace: DurationMs = DEFAULT_GRACE_MS
    severity: Literal["info", "warning", "critical"] = "warning"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    reason: str = ""


class ThresholdRuleEntry(RuleEntry):
    """A statistic that must not go above, or below, a number."""

    type: Literal["threshold"]
    statistic: Name
    match: dict[str, str] = {}
    above: Number | None = None
    below: Number | None = None


class HealthRuleEntry(RuleEntry):
    """Similarity of the inference data with the training data, by feature; one alert a feature."""

    type: Literal["health"]
    features: Annotated[list[Name], Field(min_length=1)] | Literal["all"] = "all"
    threshold: Score | None = None


class MLAppEntry(Entry):
    """The whole file."""

    mlapp: Identifier
    name: Name | None = None
    description: str = ""
    nodes: Annotated[list[NodeEntry], Field(min_length=1)]
    policy: PolicyEntry = PolicyEntry()
    alerts: list[Annotated[ThresholdRuleEntry | HealthRuleEntry, Field(discriminator="type")]] = []
