"""From an MLApp file to its record on ``mlops.mlapps``."""

from __future__ import annotations

import dataclasses
import json
import shlex
from typing import TYPE_CHECKING

from parallelm.definitions.running import RunningForm
from parallelm.schemas.records import MLAppDefinition, Node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.definitions.mlapp import MLApp
    from parallelm.definitions.run_spec import ComponentSpec

NOT_RUN = "{}"
"""``Node.running_json`` of a node that somebody else starts."""


def to_record(app: MLApp, text: str, *, version: int, applied_by: str, event_time_ms: int) -> MLAppDefinition:
    """Record of a validated file; ``text`` is the file as it was written."""
    nodes = [
        Node(
            node_id=node.id,
            name=node.name or node.id,
            type=node.type,
            mode=node.mode,
            schedule=node.schedule.cron if node.schedule else "",
            parents=tuple(node.parents),
            pipeline=node.pipeline if isinstance(node.pipeline, str) else shlex.join(node.pipeline),
            consumes=tuple(node.consumes),
            running_json=_json_of(node.running()),
        )
        for node in app.nodes
    ]
    return MLAppDefinition(
        event_time_ms=event_time_ms,
        mlapp_id=app.mlapp_id,
        name=app.name,
        description=app.description,
        stage=app.stage,
        version=version,
        applied_by=applied_by,
        nodes=tuple(nodes),
        policy=app.policy.to_record(),
        node_policies={node_id: policy.to_record() for node_id, policy in app.node_policies.items()},
        rules=tuple(rule.to_record(app.policy) for rule in app.rules),
        source_yaml=text,
    )


def _json_of(running: RunningForm | None) -> str:
    return running.model_dump_json() if running else NOT_RUN


def running_of(node: Node) -> RunningForm | None:
    """How agents run a node; None when somebody else starts it."""
    return None if node.running_json == NOT_RUN else RunningForm.model_validate_json(node.running_json)


def component_names(definition: MLAppDefinition) -> list[str]:
    """Components that its nodes' steps run, each once."""
    running = (running_of(node) for node in definition.nodes)
    steps = (step.component for found in running if found for step in found.steps)
    return list(dict.fromkeys(name for name in steps if name))


def components_of(definition: MLAppDefinition) -> dict[str, ComponentSpec]:
    """Components that are in the artifact store, by name."""
    running = (running_of(node) for node in definition.nodes)
    return {spec.name: spec for found in running if found for spec in found.components}


def with_components(definition: MLAppDefinition, specs: Mapping[str, ComponentSpec]) -> MLAppDefinition:
    """The definition, its nodes with the components that their steps run."""

    def node_with(node: Node) -> Node:
        running = running_of(node)
        if running is None:
            return node
        names = dict.fromkeys(step.component for step in running.steps if step.component)
        found = [specs[name] for name in names if name in specs]
        return dataclasses.replace(
            node, running_json=_json_of(running.model_copy(update={"components": found}))
        )

    return dataclasses.replace(definition, nodes=tuple(map(node_with, definition.nodes)))


def next_version(current: MLAppDefinition | None, wanted: MLAppDefinition) -> MLAppDefinition | None:
    """``wanted`` with the version after ``current``'s; None when nothing but comments, layout or time differs."""
    if current is None:
        return dataclasses.replace(wanted, version=1)
    if _content(current) == _content(wanted):
        return None
    return dataclasses.replace(wanted, version=current.version + 1)


def _content(definition: MLAppDefinition) -> str:
    """The part of a definition that makes it a new version, in a form that does not depend on lists or tuples."""
    plain = dataclasses.asdict(definition)
    for name in ("event_time_ms", "version", "applied_by", "source_yaml"):
        del plain[name]
    return json.dumps(plain, sort_keys=True)
