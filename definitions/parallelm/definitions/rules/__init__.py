"""Alert rules, one file for each type. Adding a type is adding a file with a ``RuleForm`` in it."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from parallelm.definitions.form import DurationMs, Form, Identifier, Name, Number, PositiveDurationMs
from parallelm.definitions.registered import import_modules_of
from parallelm.definitions.templates import template_mistake
from parallelm.schemas.records import AlertRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm

DEFAULT_WINDOW_MS = 60_000
RESERVED_LABELS = {
    "alertname": "which rule it is ('name')",
    "mlapp": "which MLApp it is ('mlapp')",
    "severity": "how severe it is ('severity')",
}
"""Labels that every alert has of itself, with what they say."""
Url = Annotated[str, Field(pattern=r"^https?://\S+$", max_length=2_000)]


class RuleForm(Form):
    """What every alert rule has. ``for`` is a keyword of Python, hence the alias."""

    type_name: ClassVar[str] = ""
    """What the file says in ``type``."""

    name: Name
    type: str
    node: Identifier | None = None
    for_ms: DurationMs = Field(default=0, alias="for")
    keep_firing_for: DurationMs = 0
    severity: Literal["info", "warning", "critical"] = "warning"
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    reason: str = ""
    runbook_url: Url | None = None

    def __init_subclass__(cls, *, type_name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if type_name:
            cls.type_name = type_name
            RULE_FORMS[type_name] = cls

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """What is wrong with a rule beyond the types of its fields, as written: path within the rule and message."""
        annotations = raw.get("annotations")
        if isinstance(annotations, dict):
            for key in ("reason", "runbook_url"):
                if raw.get(key) and key in annotations:
                    yield ("annotations", key), f"the {key} is given twice"
            for key, text in annotations.items():
                mistake = template_mistake(text) if isinstance(text, str) else ""
                if mistake:
                    yield ("annotations", key), f"{text!r} is not a text with values: {mistake}"
        labels = raw.get("labels")
        for key, instead in RESERVED_LABELS.items():
            if isinstance(labels, dict) and key in labels:
                yield ("labels", key), f"label {key!r} says {instead}, and cannot be set; take another name"
        if isinstance(raw.get("reason"), str) and (mistake := template_mistake(raw["reason"])):
            yield ("reason",), f"{raw['reason']!r} is not a text with values: {mistake}"
        if "match_pattern" in cls.model_fields:
            yield from pattern_mistakes(raw, "match_pattern")

    @classmethod
    def named_nodes(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """Path within the rule and id of each node that it names, as written."""
        if isinstance(raw.get("node"), str):
            yield ("node",), raw["node"]

    @staticmethod
    def listed_twice(raw: Mapping[str, Any], key: str) -> Iterator[tuple[Path, str]]:
        """Each entry of a list once."""
        names = raw.get(key)
        listed = names if isinstance(names, list) else []
        for at, name in enumerate(listed):
            if name in listed[:at]:
                yield (key, at), f"{name!r} is listed twice"

    @property
    def watched_statistic(self) -> str:
        """Name of the statistic that the rule watches; empty when its type implies it."""
        return ""

    @property
    def matched_labels(self) -> Mapping[str, str]:
        """Labels that a series must have."""
        return {}

    @abstractmethod
    def parameters(self, policy: PolicyForm) -> dict[str, object]:
        """What only this type has, as its core in the processors reads it."""

    def to_record(self, policy: PolicyForm) -> AlertRule:
        """The rule in the definition's record."""
        more = {"reason": self.reason, "runbook_url": self.runbook_url}
        return AlertRule(
            name=self.name,
            type=self.type,
            statistic=self.watched_statistic,
            node_id=self.node or "",
            match_labels=dict(self.matched_labels),
            for_ms=self.for_ms,
            keep_firing_for_ms=self.keep_firing_for,
            severity=self.severity,
            labels=dict(self.labels),
            annotations=dict(self.annotations) | {key: text for key, text in more.items() if text},
            parameters_json=json.dumps(self.parameters(policy), sort_keys=True),
        )


class SeriesRuleForm(RuleForm):
    """A rule about the samples of series of statistics."""

    match: dict[str, str] = Field(default_factory=dict)
    match_pattern: dict[str, str] = Field(default_factory=dict)
    max_gap: PositiveDurationMs | None = None
    stale_after: PositiveDurationMs | None = None
    no_data: Literal["ok", "alerting", "keep"] = "ok"

    @property
    def matched_labels(self) -> Mapping[str, str]:
        """As the file names them."""
        return self.match

    def parameters(self, policy: PolicyForm) -> dict[str, object]:  # noqa: ARG002 - of all types
        """What rules about series share, without what is as it is by default."""
        shared: dict[str, object] = {
            "match_patterns": dict(self.match_pattern),
            "max_gap_ms": self.max_gap,
            "stale_after_ms": self.stale_after,
        }
        found = {key: value for key, value in shared.items() if value not in ({}, None)}
        return found | ({"no_data": self.no_data} if self.no_data != "ok" else {})


class SampleRuleForm(SeriesRuleForm):
    """A rule about one sample after the other of a statistic, or of a function over windows of several series."""

    statistic: Name | None = None
    statistic_pattern: Name | None = None
    grace: DurationMs = 0
    aggregate: Literal["sum", "avg", "min", "max", "count", "quantile"] | None = None
    window: DurationMs = DEFAULT_WINDOW_MS
    quantile: Annotated[Number, Field(ge=0, le=1)] | None = None
    by: list[Name] = Field(default_factory=list)

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """One statistic, and an aggregation that is whole."""
        yield from super().semantic_errors(raw)
        if (raw.get("statistic") is None) == (raw.get("statistic_pattern") is None):
            yield (), f"a {cls.type_name} rule needs exactly one of 'statistic' and 'statistic_pattern'"
        if raw.get("statistic_pattern") is not None:
            yield from pattern_mistakes(raw, "statistic_pattern")
        if raw.get("aggregate") is None:
            for key in ("window", "quantile", "by"):
                if raw.get(key) is not None:
                    yield (key,), f"{key!r} needs 'aggregate': which function over the series of a group"
        elif raw["aggregate"] == "quantile" and raw.get("quantile") is None:
            yield (
                ("aggregate",),
                "aggregate: quantile needs 'quantile': which one, from 0 to 1, as in quantile: 0.99",
            )
        elif raw["aggregate"] != "quantile" and raw.get("quantile") is not None:
            yield ("quantile",), f"'quantile' is for aggregate: quantile; this rule's is {raw['aggregate']}"
        if raw.get("window") in (0, "0s", "0ms", "0m"):
            yield ("window",), "a window has a length"

    @property
    def watched_statistic(self) -> str:
        """As the file names it."""
        return self.statistic or ""

    def parameters(self, policy: PolicyForm) -> dict[str, object]:
        """What rules about samples share."""
        found = super().parameters(policy)
        if self.statistic_pattern is not None:
            found["statistic_pattern"] = self.statistic_pattern
        if self.grace:
            found["grace_ms"] = self.grace
        if self.aggregate is not None:
            found |= {"aggregate": self.aggregate, "window_ms": self.window, "by": list(self.by)}
            if self.quantile is not None:
                found["quantile"] = self.quantile
        return found


def pattern_mistakes(raw: Mapping[str, Any], key: str) -> Iterator[tuple[Path, str]]:
    """Patterns are regular expressions: the text at ``key``, or the texts of the mapping there."""
    found = raw.get(key)
    texts: Mapping[Path, Any] = (
        {(key, name): text for name, text in found.items()} if isinstance(found, dict) else {(key,): found}
    )
    for path, text in texts.items():
        if isinstance(text, str):
            try:
                re.compile(text)
            except re.error as error:
                yield path, f"{text!r} is not a regular expression: {error}"


RULE_FORMS: dict[str, type[RuleForm]] = {}
"""Every type of rule by its name in the file."""

import_modules_of(__name__)
