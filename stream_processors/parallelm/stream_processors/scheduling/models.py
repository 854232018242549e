"""Where the files of models are, and which model goes to which run."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parallelm.definitions.run_spec import ModelSpec
from parallelm.schemas.records import CommandKind, DeploymentState, RunState
from parallelm.stream_processors.scheduling import services
from parallelm.stream_processors.scheduling.state import ON_AGENT

if TYPE_CHECKING:
    from collections.abc import Collection

    from parallelm.schemas.records import DeploymentTransition, ModelAnnouncement
    from parallelm.stream_processors.scheduling.work import Work

MAX_FILES = 200
"""Models of an MLApp whose files are remembered; the oldest goes first, unless a node is to run it."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Of one announced model."""

    model_id: str
    name: str
    format: str
    artifact_url: str
    file_name: str
    is_directory: bool
    size_bytes: int
    sha256: str
    signature: str = ""

    def spec(self, deployment_id: str = "", signing_keys: tuple[str, ...] = ()) -> ModelSpec:
        """As an agent is given it."""
        return ModelSpec(
            model_id=self.model_id,
            name=self.name,
            format=self.format,
            artifact_url=self.artifact_url,
            file_name=self.file_name,
            is_directory=self.is_directory,
            size_bytes=self.size_bytes,
            sha256=self.sha256,
            signature=self.signature,
            signing_keys=list(signing_keys),
            deployment_id=deployment_id,
        )


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Of one MLApp, in the order in which they were announced."""

    files: tuple[ModelFile, ...] = ()

    @property
    def due_ms(self) -> float | None:
        """Time changes nothing here."""
        return None

    def find(self, model_id: str) -> ModelFile | None:
        """File of a model."""
        return next((each for each in self.files if each.model_id == model_id), None)

    def with_announced(self, record: ModelAnnouncement, kept: Collection[str]) -> ModelFiles:
        """With one more; ``kept`` are models that nodes run, are to run, or may be rolled back to.

        The first announcement of a model holds, as in the warehouse: another one must not bring other bytes under an id that a
        policy, or a person, has agreed to.
        """
        if self.find(record.model_id) is not None:
            return self
        new = ModelFile(
            record.model_id, record.name, record.format, record.artifact_url, record.file_name,
            record.is_directory, record.size_bytes, record.sha256, record.signature,
        )  # fmt: skip
        files = [*self.files, new]
        spare = [each for each in files[:-1] if each.model_id not in kept]
        gone = {each.model_id for each in spare[: max(0, len(files) - MAX_FILES)]}
        return replace(self, files=tuple(each for each in files if each.model_id not in gone))


def on_deployment(work: Work, moved: DeploymentTransition, wanted: ModelSpec | None) -> None:
    """Send a model to the runs that are to have it.

    ``wanted`` is the model that the transition is about, or the one that the node is to run when that one was taken away.
    """
    if wanted is None:
        return
    services.wake(work, moved.node_id)
    agents = None
    if moved.state is DeploymentState.CANARY:
        agents = json.loads(moved.evidence_json).get("agents", [])
    for run in work.node(moved.node_id).runs:
        if run.state not in ON_AGENT - {RunState.STOPPING} or (
            agents is not None and run.agent_id not in agents
        ):
            continue
        if moved.model_id not in {wanted.model_id, run.model_id}:
            continue  # it never had the one that was taken away
        work.command(
            CommandKind.DELIVER_MODEL, moved.node_id, run.run_id, run.attempt, agent_id=run.agent_id, epoch=run.epoch,
            reason=moved.reason, about=moved.transition_id, spec_json=wanted.json(),
        )  # fmt: skip


def is_delivered(moved: DeploymentTransition) -> bool:
    """Whether a transition sends its own model to runs."""
    if moved.state is DeploymentState.CANARY:
        return moved.previous_state is not DeploymentState.CANARY and '"agents"' in moved.evidence_json
    return moved.state is DeploymentState.REQUESTED


def is_taken_away(moved: DeploymentTransition) -> bool:
    """Whether a transition ends a canary on some of the agents, which go back to the model of the node."""
    ends = {
        DeploymentState.FAILED, DeploymentState.ROLLED_BACK, DeploymentState.REJECTED, DeploymentState.HELD,
        DeploymentState.SUPERSEDED, DeploymentState.REMOVED,
    }  # fmt: skip
    return moved.previous_state is DeploymentState.CANARY and moved.state in ends
