"""The fields of an MLApp file, their types and their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from parallelm.definitions.form import Form, Identifier, Name
from parallelm.definitions.node_types import Mode, NodeType
from parallelm.definitions.parameters import Parameters
from parallelm.definitions.run_spec import step_id
from parallelm.definitions.running import Pipeline, RunningForm, RunningKeys, StepForm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.definitions.policies import PolicyForm
    from parallelm.definitions.rules import RuleForm

Stage = Literal["production", "sandbox"]
"""A sandbox is for trying out; it is listed apart from what others rely on."""


class NodeForm(RunningKeys):
    """One step of the MLApp. One with neither ``steps`` nor a pipeline is started by somebody else."""

    id: Identifier
    name: Name | None = None
    type: NodeType
    mode: Mode = "offline"
    parents: list[Identifier] = Field(default_factory=list)
    pipeline: Pipeline = ""
    consumes: list[Identifier] = Field(default_factory=list)
    policy: dict[str, Any] | None = None

    def running(self) -> RunningForm | None:
        """How agents run it; None when somebody else starts it."""
        steps = [StepForm(command=self.pipeline)] if self.pipeline else self.steps
        if not steps:
            return None
        keys = {name: getattr(self, name) for name in RunningKeys.model_fields}
        named = [step.model_copy(update={"id": step_id(step, at)}) for at, step in enumerate(steps)]
        return RunningForm.model_construct(**(keys | {"steps": named}), components=[])


class MLAppForm(Form):
    """The file's top level; nodes, policy and rules have forms of their own."""

    mlapp: Identifier
    name: Name | None = None
    description: str = ""
    stage: Stage = "production"
    parameters: Parameters = Field(default_factory=dict)
    nodes: list[Any]
    policy: dict[str, Any] = Field(default_factory=dict)
    alert_defaults: dict[str, Any] = Field(default_factory=dict)
    alerts: list[Any] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MLApp:
    """A valid file."""

    mlapp_id: str
    name: str
    description: str
    stage: Stage
    nodes: tuple[NodeForm, ...]
    policy: PolicyForm
    node_policies: Mapping[str, PolicyForm]
    """By node, of nodes that have a policy of their own."""
    rules: tuple[RuleForm, ...]
