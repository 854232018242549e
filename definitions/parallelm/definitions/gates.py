"""What may hold a model back or take it away again: gates on metrics, deployment windows and alerts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from parallelm.definitions.conditions import check_condition
from parallelm.definitions.form import DurationMs, Form, Name
from parallelm.definitions.schedules import check_cron

Condition = Annotated[str, BeforeValidator(check_condition)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class MatchForm(Form):
    """Which samples a metric takes: the statistic of its name, with these labels."""

    metric: Name
    match: dict[str, str] = Field(default_factory=dict)


class GateForm(MatchForm):
    """A condition that measurements of a metric must meet; words and defaults are those of Argo Rollouts."""

    success_condition: Condition
    failure_condition: Condition | None = None
    failure_limit: Annotated[int, Field(ge=0, le=1_000)] = 0
    inconclusive_limit: Annotated[int, Field(ge=0, le=1_000)] = 0
    aggregate: Literal["avg", "min", "max", "last", "sum", "count"] = "avg"
    interval: DurationMs = 0
    count: Count = 1
    min_samples: Count = 1
    must_have_data: bool = True
    wait: DurationMs = 0

    @model_validator(mode="after")
    def _has_an_effect(self) -> Self:
        """Keys that mean nothing without another one are mistakes: what they ask for would not happen."""
        if not self.interval:
            for key in ("aggregate", "min_samples"):
                if key in self.model_fields_set and getattr(self, key) != 1:
                    raise ValueError(
                        f"{key!r} needs 'interval', as in 10m: without one each sample is a measurement"
                    )
        if not self.must_have_data and not self.wait:
            raise ValueError("must_have_data: false needs 'wait': how long to wait for data, as in 10m")
        return self

    def parameters(self) -> dict[str, object]:
        """As the core in the processors reads it."""
        return {
            "metric": self.metric,
            "match": dict(self.match),
            "success_condition": self.success_condition,
            "failure_condition": self.failure_condition or "",
            "failure_limit": self.failure_limit,
            "inconclusive_limit": self.inconclusive_limit,
            "aggregate": self.aggregate,
            "interval_ms": self.interval,
            "count": self.count,
            "min_samples": self.min_samples,
            "must_have_data": self.must_have_data,
            "wait_ms": self.wait,
        }


class GatesForm(Form):
    """Gates before a model is deployed, and after it is live."""

    before: Annotated[list[GateForm], Field(max_length=20)] = Field(default_factory=list)
    after: Annotated[list[GateForm], Field(max_length=20)] = Field(default_factory=list)


class WindowForm(Form):
    """Times at which a policy may deploy: from each time of ``cron`` (UTC) for ``duration``."""

    cron: Annotated[str, BeforeValidator(check_cron)]
    duration: DurationMs

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.duration <= 0:
            raise ValueError("a window needs a duration, as in 8h")
        return self

    def parameters(self) -> dict[str, object]:
        """As the core in the processors reads it."""
        return {"cron": self.cron, "duration_ms": self.duration}


class AlertForm(Form):
    """Alerts that take a model away: those of a rule, of a severity, or of both."""

    rule: Name | None = None
    severity: Literal["info", "warning", "critical"] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.rule is None and self.severity is None:
            raise ValueError("name a rule, a severity, or both")
        return self

    def parameters(self) -> dict[str, object]:
        """As the core in the processors reads it."""
        return {"rule": self.rule or "", "severity": self.severity or ""}
