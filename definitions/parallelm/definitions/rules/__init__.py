"""Alert rules, one file for each type. Adding a type is adding a file with a ``RuleForm`` in it."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from parallelm.definitions.form import DurationMs, Form, Identifier, Name
from parallelm.definitions.registered import import_modules_of
from parallelm.schemas.records import AlertRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm

DEFAULT_GRACE_MS = 10 * 60_000


class RuleForm(Form):
    """What every alert rule has. ``for`` is a keyword of Python, hence the alias."""

    type_name: ClassVar[str] = ""
    """What the file says in ``type``."""

    name: Name
    type: str
    node: Identifier | None = None
    for_ms: DurationMs = Field(default=0, alias="for")
    keep_firing_for: DurationMs = 0
    grace: DurationMs = DEFAULT_GRACE_MS
    severity: Literal["info", "warning", "critical"] = "warning"
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    reason: str = ""

    def __init_subclass__(cls, *, type_name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.type_name = type_name
        RULE_FORMS[type_name] = cls

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """What is wrong with a rule beyond the types of its fields, as written: path within the rule and message."""
        annotations = raw.get("annotations")
        if raw.get("reason") and isinstance(annotations, dict) and "reason" in annotations:
            yield ("annotations", "reason"), "the reason is given twice"

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
            annotations=dict(self.annotations) | ({"reason": self.reason} if self.reason else {}),
            parameters_json=json.dumps({"grace_ms": self.grace} | self.parameters(policy), sort_keys=True),
        )


RULE_FORMS: dict[str, type[RuleForm]] = {}
"""Every type of rule by its name in the file."""

import_modules_of(__name__)
