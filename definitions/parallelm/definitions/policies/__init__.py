"""Model policies, one file for each kind. Adding a kind is adding a file with a ``PolicyForm`` in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from parallelm.definitions.form import DurationMs, Form, Score
from parallelm.definitions.gates import (
    AlertForm,
    GatesForm,
    WindowForm,
)
from parallelm.definitions.registered import import_modules_of
from parallelm.schemas.model_signatures import KEY_ID
from parallelm.schemas.records import ModelPolicy, Policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path

KeyId = Annotated[str, Field(pattern=f"^{KEY_ID.pattern}$")]
"""Of a key that signs models; `mcenter keys` tells it."""
DEFAULT_HEALTH_THRESHOLD = 0.2
DEFAULT_KIND = ModelPolicy.ALWAYS_UPDATE.value


class PolicyForm(Form):
    """When a new model is deployed, and the thresholds that components may ask for."""

    kind: ClassVar[ModelPolicy]
    """What the file says in ``model_policy``."""

    model_policy: str = DEFAULT_KIND
    health_threshold: Score = DEFAULT_HEALTH_THRESHOLD
    canary_threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    accept: Literal["any", "all"] = "any"
    accept_timeout: DurationMs = 0
    cool_down: DurationMs = 0
    windows: Annotated[list[WindowForm], Field(max_length=20)] = Field(default_factory=list)
    gates: GatesForm = Field(default_factory=GatesForm)
    rollback_on: Annotated[list[AlertForm], Field(max_length=50)] = Field(default_factory=list)
    signing_keys: Annotated[list[KeyId], Field(max_length=50)] = Field(default_factory=list)

    def __init_subclass__(cls, *, kind: ModelPolicy, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = kind
        POLICY_FORMS[kind.value] = cls

    @classmethod
    def semantic_errors(
        cls,
        raw: Mapping[str, Any],
        consumers: Mapping[str, str],  # noqa: ARG003 - of all kinds
        of_node: str,  # noqa: ARG003 - of all kinds
    ) -> Iterator[tuple[Path, str]]:
        """What is wrong with a policy beyond the types of its fields, as written: path within it and message.

        ``consumers`` are the types of all nodes by id; ``of_node`` is the node whose policy it is, empty: the MLApp's.
        """
        if raw.get("accept") == "all" and not raw.get("accept_timeout"):
            yield (
                ("accept",),
                "accept: all needs an accept_timeout: an agent that is gone never answers",
            )

    def parameters(self) -> dict[str, object]:
        """What only this kind has, as its core in the processors reads it."""
        return {}

    def to_record(self) -> Policy:
        """The policy in the definition's record."""
        shared: dict[str, object] = {
            "accept": self.accept,
            "cool_down_ms": self.cool_down,
            "windows": [window.parameters() for window in self.windows],
            "before": [gate.parameters() for gate in self.gates.before],
            "after": [gate.parameters() for gate in self.gates.after],
            "rollback_on": [alert.parameters() for alert in self.rollback_on],
            "signing_keys": self.signing_keys,
        }
        return Policy(
            model_policy=self.kind,
            health_threshold=self.health_threshold,
            canary_threshold=-1.0 if self.canary_threshold is None else self.canary_threshold,
            accept_timeout_ms=self.accept_timeout,
            parameters_json=json.dumps(shared | self.parameters(), sort_keys=True),
        )


POLICY_FORMS: dict[str, type[PolicyForm]] = {}
"""Every kind of policy by its name in the file."""

import_modules_of(__name__)
