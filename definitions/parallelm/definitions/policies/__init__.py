"""Model policies, one file for each kind. Adding a kind is adding a file with a ``PolicyForm`` in it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from parallelm.definitions.form import DurationMs, Form, Score
from parallelm.definitions.registered import import_modules_of
from parallelm.schemas.records import ModelPolicy, Policy

DEFAULT_HEALTH_THRESHOLD = 0.2
DEFAULT_KIND = ModelPolicy.ALWAYS_UPDATE.value


class PolicyForm(Form):
    """When a new model is deployed, and the thresholds that components may ask for."""

    kind: ClassVar[ModelPolicy]
    """What the file says in ``model_policy``."""

    model_policy: str = DEFAULT_KIND
    health_threshold: Score = DEFAULT_HEALTH_THRESHOLD
    canary_threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    accept_timeout: DurationMs = 0

    def __init_subclass__(cls, *, kind: ModelPolicy, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = kind
        POLICY_FORMS[kind.value] = cls

    def to_record(self) -> Policy:
        """The policy in the definition's record."""
        return Policy(
            model_policy=self.kind,
            health_threshold=self.health_threshold,
            canary_threshold=-1.0 if self.canary_threshold is None else self.canary_threshold,
            accept_timeout_ms=self.accept_timeout,
        )


POLICY_FORMS: dict[str, type[PolicyForm]] = {}
"""Every kind of policy by its name in the file."""

import_modules_of(__name__)
