"""``alert_defaults``: what the alert rules of a file share, unless one of them says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from parallelm.definitions.form import DurationMs, Form, Identifier, PositiveDurationMs
from parallelm.definitions.rules import RESERVED_LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping


class RuleDefaultsForm(Form):
    """The keys of rules that may be shared. A type of rule that has no such key is not affected."""

    node: Identifier | None = None
    for_ms: DurationMs = Field(default=0, alias="for")
    keep_firing_for: DurationMs = 0
    severity: Literal["info", "warning", "critical"] = "warning"
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    runbook_url: str = ""
    max_gap: PositiveDurationMs | None = None
    stale_after: PositiveDurationMs | None = None
    no_data: Literal["ok", "alerting", "keep"] = "ok"
    grace: DurationMs = 0

    @field_validator("labels")
    @classmethod
    def _own_names(cls, labels: dict[str, str]) -> dict[str, str]:
        for key, instead in RESERVED_LABELS.items():
            if key in labels:
                raise ValueError(f"label {key!r} says {instead}, and cannot be set; take another name")
        return labels


def with_defaults(form: type[Form], raw: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A rule as written, with the defaults that its type knows; labels and annotations of both."""
    known = {field.alias or name for name, field in form.model_fields.items()}
    merged = {key: value for key, value in defaults.items() if key in known} | dict(raw)
    for key in ("labels", "annotations"):
        own, shared = raw.get(key), defaults.get(key)
        if isinstance(own, dict) and isinstance(shared, dict):
            merged[key] = shared | own
    annotations = raw.get("annotations")
    if isinstance(annotations, dict) and "runbook_url" in annotations and "runbook_url" not in raw:
        merged.pop("runbook_url", None)  # the rule has its own
    return merged
