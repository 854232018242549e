"""What an agent is given to run: the JSON in a start command. The control plane writes it, agents read it.

It is whole: an agent that is cut off from everything after it has the command can run it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from parallelm.definitions.form import Form, Identifier, Name
from parallelm.definitions.node_types import NodeType
from parallelm.definitions.running import RunningForm

if TYPE_CHECKING:
    from parallelm.definitions.running import ComponentSpec


class ModelSpec(Form):
    """A model to deliver."""

    model_id: Name
    name: str = ""
    format: str = ""
    artifact_url: str
    file_name: str = ""
    is_directory: bool = False
    size_bytes: int = 0
    sha256: str = ""
    signature: str = ""
    """Of its announcement."""
    signing_keys: list[str] = Field(default_factory=list)
    """Keys that the node's policy trusts: one of them must have signed it. Empty: the policy asks for no signature."""
    deployment_id: str = ""
    """The deployment that its acceptance answers; empty for a node's default model."""


class RunSpec(Form):
    """One attempt of one run of one instance of a node."""

    mlapp_id: Identifier
    mlapp_name: str
    definition_version: int
    node_id: Identifier
    node_type: NodeType
    mode: Literal["offline", "online"]
    pipeline_instance_id: Name
    instance: int = 0
    run_id: Name
    attempt: int = 1
    trigger: str = ""
    due_at_ms: int = 0
    running: RunningForm
    model: ModelSpec | None = None
    """The model to begin with; None: the program asks, or there is none yet."""

    @property
    def components(self) -> list[ComponentSpec]:
        """The components that its steps run."""
        return self.running.components
