"""The fields of an MLApp file, their types and their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from parallelm.definitions.form import Form, Identifier, Name, Schedule
from parallelm.definitions.node_types import NodeType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.definitions.policies import PolicyForm
    from parallelm.definitions.rules import RuleForm

Stage = Literal["production", "sandbox"]
"""A sandbox is for trying out; it is listed apart from what others rely on."""


class NodeForm(Form):
    """One step of the MLApp."""

    id: Identifier
    name: Name | None = None
    type: NodeType
    mode: Literal["offline", "online"] = "offline"
    schedule: Schedule = ""
    parents: list[Identifier] = Field(default_factory=list)
    pipeline: str = ""
    consumes: list[Identifier] = Field(default_factory=list)
    policy: dict[str, Any] | None = None


class MLAppForm(Form):
    """The file's top level; nodes, policy and rules have forms of their own."""

    mlapp: Identifier
    name: Name | None = None
    description: str = ""
    stage: Stage = "production"
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
