"""How agents run a node, as the MLApp file says it: schedule, triggers, steps, agents, limits."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from parallelm.definitions.form import DurationMs, FileName, Form, Identifier, Name, PositiveDurationMs
from parallelm.definitions.run_spec import ComponentSpec, RunningSpec
from parallelm.definitions.schedules import check_cron, check_timezone


def _check_argument(value: Any) -> Any:
    if isinstance(value, list | dict):
        raise ValueError("an argument is a text, a number, true, false or null")  # noqa: TRY004 - pydantic's error
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no finite number; put it in quotes to hand it on as text")
    return value


def _check_command(value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) for part in parts) or not str(parts[0]).strip():
        raise ValueError(
            "a command is a text, which the shell runs, or a list of a program and its arguments"
        )
    return value


def _schedule_of_text(value: Any) -> Any:
    """A schedule may be its cron expression alone; an empty one is none."""
    if not isinstance(value, str):
        return value
    return {"cron": value} if value.strip() else None


Argument = Annotated[str | int | float | bool | None, BeforeValidator(_check_argument)]
"""Value of a component's argument; None: as if it were not given."""
Command = Annotated[list[str] | str, BeforeValidator(_check_command)]
"""A text is run by the shell, a list as it is."""
Pipeline = Annotated[list[str] | str, BeforeValidator(lambda given: _check_command(given) if given else "")]
"""A command, or nothing."""
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
SecretReference = Annotated[str, Field(pattern=r"^(file|env|kubernetes):.+$", max_length=1000)]
"""Where the agent finds a secret on its host: ``file:/run/secrets/key`` or ``env:NAME``; in a cluster ``kubernetes:SECRET/KEY``."""
Cron = Annotated[str, BeforeValidator(check_cron)]
Timezone = Annotated[str, BeforeValidator(check_timezone)]

MAX_PARALLELISM = 1_000


class ScheduleForm(Form):
    """When a node's runs are due."""

    cron: Cron
    timezone: Timezone = "UTC"
    missed: Literal["skip", "run_last", "run_all"] = "run_last"
    """Of times that passed while the control plane was away or the node paused."""
    overlap: Literal["skip", "queue", "allow"] = "skip"
    """When a run is due while an earlier one goes on."""
    jitter: DurationMs = 0
    """Each MLApp's runs begin up to this later, always by the same time."""
    deadline: DurationMs = 0
    """A run that has not begun this long after it was due is missed; 0: never."""


class TriggerForm(Form):
    """What, besides the schedule, makes a run due: exactly one of ``after``, ``model``, ``deployed`` and ``event``."""

    after: Identifier | None = None
    """A run of this node has ended."""
    on: Literal["success", "failure", "end"] = "success"
    model: Identifier | None = None
    """This node has published a model."""
    deployed: Identifier | None = None
    """A model was deployed to this node, by its policy or a person; the node itself may be meant."""
    event: Name | None = None
    """An event of this type was reported in the MLApp, such as ``DataReady`` by whoever brings data."""


class InputForm(Form):
    """An input of a step: the file or folder that an earlier step wrote as one of its outputs."""

    parent: Identifier
    output: FileName
    input: Name | None = None
    """Name at this step; that of the output when it is not given."""


class StepForm(Form):
    """One program of a pipeline: a component, or a command. Steps run one after the other, as they are listed."""

    id: Identifier | None = None
    component: Identifier | None = None
    command: Command | None = None
    arguments: dict[str, Argument] = Field(default_factory=dict)
    parents: list[InputForm] = Field(default_factory=list)


class ResourcesForm(Form):
    """What each run of a node may use, where the host can limit it."""

    cpus: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    memory: Annotated[str, Field(pattern=r"^\d{1,15}(\.\d{1,15})?(Ki|Mi|Gi|Ti|K|M|G|T)?$")] | None = None
    """As Kubernetes writes it: ``512Mi``."""
    gpus: Annotated[int, Field(ge=0)] = 0


class RestartForm(Form):
    """Of an online node: what its agent does at once when the program ends by itself."""

    when: Literal["always", "on_failure", "never"] = "always"
    delay: DurationMs = 1_000
    max_delay: PositiveDurationMs = 300_000
    limit: Annotated[int, Field(ge=0)] = 0
    """Within ``window``; then the run has failed. 0: without end."""
    window: PositiveDurationMs = 3_600_000


class RetryForm(Form):
    """Of an offline node: new attempts of a failed run, by the control plane, on any agent that fits."""

    limit: Annotated[int, Field(ge=0, le=100)] = 0
    delay: DurationMs = 30_000
    backoff: Annotated[float, Field(ge=1, le=10)] = 2.0
    max_delay: PositiveDurationMs = 3_600_000


class ModelDeliveryForm(Form):
    """How a running program gets another model, and what the model must show before."""

    by: Literal["restart", "signal", "question"] = "restart"
    """``question``: the program asks through the library, and says itself that it has accepted."""
    signal: Literal["SIGHUP", "SIGUSR1", "SIGUSR2"] = "SIGHUP"
    smoke_test: Command | None = None
    """Run with the new model before the switch; it passes with exit code 0."""
    time_limit: PositiveDurationMs = 300_000


class LogsForm(Form):
    """What is kept of what a pipeline writes, and what goes to the topic."""

    keep: PositiveDurationMs = 7 * 86_400_000
    max_size: Annotated[str, Field(pattern=r"^\d{1,15}(Ki|Mi|Gi)$")] = "100Mi"
    """On the host, of one run."""
    lines_per_second: Annotated[int, Field(ge=0, le=100_000)] = 200
    """To the topic; what is beyond is counted. 0: none."""


class RunningKeys(Form):
    """How agents run a node: the keys in the file, beside ``id`` and ``type``."""

    steps: list[StepForm] = Field(default_factory=list)
    schedule: Annotated[ScheduleForm | None, BeforeValidator(_schedule_of_text)] = None
    triggers: list[TriggerForm] = Field(default_factory=list)
    agents: dict[Name, str] = Field(default_factory=dict)
    """Labels that an agent must have."""
    parallelism: Annotated[int, Field(ge=1, le=MAX_PARALLELISM)] = 1
    placement: Literal["pinned", "movable"] = "pinned"
    lease: PositiveDurationMs = 30_000
    """A movable run goes elsewhere when its agent was not heard of for this long; there it has ended by then."""
    runner: Literal["process", "kubernetes"] = "process"
    image: Name | None = None
    """Of runner ``kubernetes``."""
    default_model: Name | None = None
    """Id of a model, for a consumer that was given none yet."""
    environment: dict[VariableName, str] = Field(default_factory=dict)
    secrets: dict[VariableName, SecretReference] = Field(default_factory=dict)
    resources: ResourcesForm = Field(default_factory=ResourcesForm)
    restart: RestartForm = Field(default_factory=RestartForm)
    retry: RetryForm = Field(default_factory=RetryForm)
    time_limit: DurationMs = 0
    """Of a run; 0: none."""
    stop_grace: DurationMs = 30_000
    """From SIGTERM to SIGKILL."""
    model_delivery: ModelDeliveryForm = Field(default_factory=ModelDeliveryForm)
    logs: LogsForm = Field(default_factory=LogsForm)


class RunningForm(RunningKeys):
    """How agents run a node, whole: its steps have ids, and their components are in the artifact store."""

    components: list[ComponentSpec] = Field(default_factory=list)

    def spec(self) -> RunningSpec:
        """What agents are told of it. What is as by default here is so there."""
        told = {field.name for field in fields(RunningSpec)}
        return RunningSpec.of(self.model_dump(include=told, exclude_defaults=True))
