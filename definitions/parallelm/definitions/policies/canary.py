"""``canary``: a new model first serves a part, and is compared with the live one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from parallelm.definitions.durations import duration_in
from parallelm.definitions.form import (
    DurationMs,
    Form,
    Identifier,
    Name,
)
from parallelm.definitions.gates import MatchForm
from parallelm.definitions.node_types import CONSUMERS, NODE_TYPES
from parallelm.definitions.policies import PolicyForm
from parallelm.schemas.records import ModelPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path

MAX_METRICS = 10
"""Samples of each are remembered while a canary runs."""
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class CanaryMetricForm(MatchForm):
    """A metric that is compared; words and defaults are those of Kayenta."""

    direction: Literal["increase", "decrease", "either"] = "either"
    weight: Weight = 1.0
    critical: bool = False
    must_have_data: bool = False
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.25
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.98
    effect_size: Annotated[float, Field(ge=0.5, le=1)] = 0.5

    def parameters(self) -> dict[str, object]:
        """As the core in the processors reads it."""
        return self.model_dump()


class CanaryOptionsForm(Form):
    """How a canary runs, and what it must show."""

    node: Identifier | None = None
    share: Annotated[float, Field(gt=0, le=0.5)] | None = None
    metrics: Annotated[list[CanaryMetricForm], Field(max_length=MAX_METRICS)] = Field(default_factory=list)
    predictions: Name = "PredictionHistogram"
    predictions_weight: Weight = 1.0
    min_samples: Annotated[int, Field(ge=2, le=200)] = 30
    duration: DurationMs = 0
    pass_score: Percent = 95.0
    marginal_score: Percent = 75.0
    time_limit: DurationMs = 0
    at_time_limit: Literal["roll_back", "promote", "hold"] = "roll_back"

    def parameters(self) -> dict[str, object]:
        """As the core in the processors reads it."""
        return {
            "node": self.node or "",
            "share": self.share or 0.0,
            "metrics": [metric.parameters() for metric in self.metrics],
            "predictions": self.predictions,
            "predictions_weight": self.predictions_weight,
            "min_samples": self.min_samples,
            "duration_ms": self.duration,
            "pass_score": self.pass_score,
            "marginal_score": self.marginal_score,
            "time_limit_ms": self.time_limit,
            "at_time_limit": self.at_time_limit,
        }


class CanaryForm(PolicyForm, kind=ModelPolicy.CANARY):
    """The key ``canary`` says how."""

    canary: CanaryOptionsForm

    def parameters(self) -> dict[str, object]:
        """The options, as the core in the processors reads them."""
        return {"canary": self.canary.parameters()}

    @classmethod
    def semantic_errors(
        cls, raw: Mapping[str, Any], consumers: Mapping[str, str], of_node: str
    ) -> Iterator[tuple[Path, str]]:
        """It runs somewhere, and something is compared."""
        yield from super().semantic_errors(raw, consumers, of_node)
        options = raw.get("canary")
        if not isinstance(options, dict):
            return
        if (options.get("node") is None) == (options.get("share") is None):
            yield ("canary",), "a canary needs exactly one of 'node' and 'share'"
        if not options.get("metrics") and raw.get("canary_threshold") is None:
            yield (
                ("canary",),
                "a canary compares nothing: name 'metrics', or give the policy a 'canary_threshold' for predictions",
            )
        passing, marginal = options.get("pass_score", 95.0), options.get("marginal_score", 75.0)
        if isinstance(passing, int | float) and isinstance(marginal, int | float) and marginal > passing:
            yield ("canary",), f"marginal_score {marginal} is above pass_score {passing}"
        yield from _times(options)
        yield from _metrics(options.get("metrics"))
        node = options.get("node")
        if isinstance(node, str):
            yield from _node(node, consumers, of_node)


def _times(options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """A time limit that leaves time enough, and what happens at one that there is."""
    duration, limit = duration_in(options, "duration"), duration_in(options, "time_limit")
    if duration and limit and duration >= limit:
        yield (
            ("canary", "duration"),
            f"duration {options['duration']} is not shorter than time_limit {options['time_limit']}: no canary could pass",
        )
    if options.get("at_time_limit") is not None and not options.get("time_limit"):
        yield ("canary", "at_time_limit"), "'at_time_limit' needs 'time_limit', as in 1d"


def _metrics(metrics: Any) -> Iterator[tuple[Path, str]]:
    """Each metric once: two would count twice in the score."""
    seen: list[tuple[object, object]] = []
    for at, metric in enumerate(metrics if isinstance(metrics, list) else ()):
        if not isinstance(metric, dict):
            continue
        key = (metric.get("metric"), metric.get("match") or {})
        if key in seen:
            yield ("canary", "metrics", at), f"metric {key[0]!r} is listed twice; give one of them a 'match'"
        seen.append(key)


def _node(node: str, nodes: Mapping[str, str], of_node: str) -> Iterator[tuple[Path, str]]:
    place: Path = ("canary", "node")
    known = [name for name, kind in nodes.items() if kind in CONSUMERS]
    if node not in nodes:
        yield place, f"unknown node {node!r}; nodes that consume models: {', '.join(known) or 'none'}"
    elif nodes[node] in NODE_TYPES - CONSUMERS:
        yield place, f"node {node!r} is of type {nodes[node]}, which consumes no models"
    elif node == of_node:
        yield place, f"node {node!r} cannot be its own canary"
