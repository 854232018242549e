"""What an agent is given to run: the JSON in a start command. The control plane writes it, agents read it.

It is whole: an agent that is cut off from everything after it has the command can run it. What a person may write is
checked by the forms of ``running``, long before; times are milliseconds here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from parallelm.definitions.node_types import Mode, NodeType  # noqa: TC001 - read at run time
from parallelm.definitions.specifications import Specification

if TYPE_CHECKING:
    from parallelm.definitions.running import StepForm

OF_A_CLUSTER = r"kubernetes:[a-z0-9][a-z0-9.-]*/[-._A-Za-z0-9]+"
"""Reference to a secret of a cluster."""


def program_of(command: list[str] | str) -> list[str]:
    """What is started for a command: a text is run by the shell, a list as it is."""
    return ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)


def step_id(step: StepForm | StepSpec, at: int) -> str:
    """What others call a step: its id, else its component, else its place, from 1."""
    return step.id or step.component or f"step-{at + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec(Specification):
    """A model to deliver."""

    model_id: str
    name: str = ""
    format: str = ""
    artifact_url: str
    file_name: str = ""
    is_directory: bool = False
    size_bytes: int = 0
    sha256: str = ""
    signature: str = ""
    """Of its announcement."""
    signing_keys: list[str] = field(default_factory=list)
    """Keys that the node's policy trusts: one of them must have signed it. Empty: the policy asks for no signature."""
    deployment_id: str = ""
    """The deployment that its acceptance answers; empty for a node's default model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec(Specification):
    """As ``InputForm``."""

    parent: str
    output: str
    input: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec(Specification):
    """As ``StepForm``."""

    id: str | None = None
    component: str | None = None
    command: list[str] | str | None = None
    arguments: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    parents: list[InputSpec] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcesSpec(Specification):
    """As ``ResourcesForm``."""

    cpus: float | None = None
    memory: str | None = None
    gpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartSpec(Specification):
    """As ``RestartForm``."""

    when: Literal["always", "on_failure", "never"] = "always"
    delay: int = 1_000
    max_delay: int = 300_000
    limit: int = 0
    window: int = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeliverySpec(Specification):
    """As ``ModelDeliveryForm``."""

    by: Literal["restart", "signal", "question"] = "restart"
    signal: Literal["SIGHUP", "SIGUSR1", "SIGUSR2"] = "SIGHUP"
    smoke_test: list[str] | str | None = None
    time_limit: int = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsSpec(Specification):
    """As ``LogsForm``."""

    keep: int = 7 * 86_400_000
    max_size: str = "100Mi"
    lines_per_second: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSpec(Specification):
    """A component's folder as it was when the MLApp was applied: a tar in the artifact store."""

    name: str
    artifact_url: str
    sha256: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSpec(Specification):
    """What of ``RunningForm`` is the agent's: all but when a run is due, and where."""

    steps: list[StepSpec] = field(default_factory=list)
    placement: Literal["pinned", "movable"] = "pinned"
    lease: int = 30_000
    runner: Literal["process", "kubernetes"] = "process"
    image: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    resources: ResourcesSpec = ResourcesSpec()
    restart: RestartSpec = RestartSpec()
    time_limit: int = 0
    stop_grace: int = 30_000
    model_delivery: ModelDeliverySpec = ModelDeliverySpec()
    logs: LogsSpec = LogsSpec()
    components: list[ComponentSpec] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec(Specification):
    """One attempt of one run of one instance of a node."""

    mlapp_id: str
    mlapp_name: str
    definition_version: int
    node_id: str
    node_type: NodeType
    mode: Mode
    pipeline_instance_id: str
    instance: int = 0
    run_id: str
    attempt: int = 1
    trigger: str = ""
    due_at_ms: int = 0
    running: RunningSpec
    model: ModelSpec | None = None
    """The model to begin with; None: the program asks, or there is none yet."""

    @property
    def components(self) -> list[ComponentSpec]:
        """The components that its steps run."""
        return self.running.components
