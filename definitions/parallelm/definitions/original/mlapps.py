"""``mlapp.json`` with its pipelines, and an MLApp file."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

from parallelm.definitions.components import ComponentForm, output_names
from parallelm.definitions.components.form import PortForm
from parallelm.definitions.node_types import CONSUMERS, NODE_TYPES
from parallelm.definitions.original.notes import identifier, mapping
from parallelm.definitions.original.pipelines import pipeline_to_original, steps_from_original
from parallelm.definitions.original.quartz import from_quartz, to_quartz
from parallelm.definitions.records import running_of
from parallelm.definitions.run_spec import step_id
from parallelm.definitions.running import RunningForm, RunningKeys, ScheduleForm
from parallelm.schemas.records import ModelPolicy
from parallelm.schemas.well_known import MODEL_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import PurePath

    from parallelm.definitions.original.notes import Notes
    from parallelm.definitions.running import StepForm
    from parallelm.schemas.records import MLAppDefinition, Node

_GROUP = "group"
"""Label of agents that stands for a group of the original."""
_READ = {
    "version",
    "name",
    "modelPolicy",
    "globalThreshold",
    "canaryThreshold",
    "nodes",
    "components",
    "description",
}
_READ_OF_NODE = {
    "parent", "group", "pipeline", "pipelineMode", "cronSchedule", "defaultModelName", "defaultModelPath",
    "defaultModelFormat", "defaultModelId",
}  # fmt: skip
_DEFAULT_MODELS = ("defaultModelId", "defaultModelPath", "defaultModelName")
_POLICIES = {"ALWAYS_UPDATE": "always_update", "MANUAL": "manual"}
_ONLINE_ENGINES = {"RestModelServing"}
_CARRIED = {"steps", "schedule", "agents", "default_model"}


def mlapp_from_original(
    raw: Mapping[str, Any],
    pipeline_of: Callable[[str], Mapping[str, Any]],
    components: Mapping[str, Mapping[str, Any]],
    notes: Notes,
    *,
    timezone: str = "UTC",
    model_at: Callable[[str], ModelPath | None] = lambda _: None,
) -> dict[str, Any]:
    """The content of an MLApp file.

    ``pipeline_of`` reads the document that a path names; ``model_at`` says where the new folder has the model that a path names.
    """
    name = str(raw.get("name") or "mlapp")
    found: dict[str, Any] = {"mlapp": mlapp_id_of(raw)}
    if found["mlapp"] != name:
        found["name"] = name
    if raw.get("description"):
        found["description"] = str(raw["description"])
    notes.unread(dict(raw), _READ)
    theirs = mapping(raw.get("nodes"))
    nodes = {key: each for key, each in theirs.items() if isinstance(each, dict)}
    for key in theirs.keys() - nodes.keys():
        notes.add(f"nodes.{key}", "is no mapping: it is left out")
    made = {key: _node(key, nodes, pipeline_of, components, notes, timezone) for key in nodes}
    found["nodes"] = list(made.values())
    for key, node in made.items():
        _default_model(node, nodes[key], found["mlapp"], model_at, notes, f"nodes.{key}")
    _note_launches(made, notes)
    found["policy"] = _policy(raw, notes)
    return found


def mlapp_id_of(raw: Mapping[str, Any]) -> str:
    """Id of the MLApp that ``mlapp.json`` describes."""
    return identifier(raw.get("name") or "mlapp", "mlapp")


def _policy(raw: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    theirs = re.sub(r"[\s-]+", "_", str(raw.get("modelPolicy") or "ALWAYS_UPDATE")).upper()
    if theirs not in _POLICIES:
        notes.add("modelPolicy", f"{raw.get('modelPolicy')!r} is not known here: models are approved by hand")
    policy: dict[str, Any] = {"model_policy": _POLICIES.get(theirs, "manual")}
    health, canary = raw.get("globalThreshold"), raw.get("canaryThreshold")
    if _is_number(health) and 0 <= health <= 1:
        policy["health_threshold"] = health
    elif health is not None:
        notes.add("globalThreshold", f"{health!r} is no number from 0 to 1: the default stays")
    if _is_number(canary) and canary > 0:
        policy["canary_threshold"] = canary
    elif canary is not None:
        notes.add("canaryThreshold", f"{canary!r} is no number above 0: there is none")
    return policy


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _note_launches(nodes: Mapping[str, Mapping[str, Any]], notes: Notes) -> None:
    """Nodes without schedules follow the ends of their parents' runs; with parents that never end, they run at launches."""
    ends = {each["id"] for each in nodes.values() if each.get("mode") != "online" and each.get("steps")}
    for key, node in nodes.items():
        if node.get("mode") != "online" and not ("schedule" in node or ends & set(node.get("parents", ()))):
            notes.add(
                f"nodes.{key}",
                "it has no schedule, and no parents whose runs end: it runs once at each launch; triggers can run it on new models",
            )


def _node(
    key: str,
    nodes: Mapping[str, Mapping[str, Any]],
    pipeline_of: Callable[[str], Mapping[str, Any]],
    components: Mapping[str, Mapping[str, Any]],
    notes: Notes,
    timezone: str,
) -> dict[str, Any]:
    raw, place = nodes[key], f"nodes.{key}"
    path = str(raw.get("pipeline") or "")
    pipeline = pipeline_of(path) if path else {}
    of_pipeline = notes.of(path)
    kind = _type(pipeline, of_pipeline)
    mode = str(raw.get("pipelineMode") or pipeline.get("pipelineMode") or "").lower()
    engine = str(pipeline.get("engineType") or "Generic")
    if engine != "Generic":
        of_pipeline.add("engineType", f"{engine!r} does not run here: its steps are started as programs")
    is_online = mode == "online" if mode else engine in _ONLINE_ENGINES
    node: dict[str, Any] = {
        "id": identifier(key),
        "name": key if identifier(key) != key else None,
        "type": kind,
    }
    node["mode"] = "online" if is_online else None
    node["parents"] = _parents(raw, nodes, notes, place)
    node["schedule"] = None if is_online else _schedule(raw, notes, place, timezone)
    if raw.get("group"):
        node["agents"] = {_GROUP: str(raw["group"])}
        notes.add(f"{place}.group", f"start the agents of that group with --labels {_GROUP}={raw['group']}")
    node["steps"] = steps_from_original(pipeline, components, of_pipeline)
    notes.unread(dict(raw), _READ_OF_NODE, f"{place}.")
    return {name: value for name, value in node.items() if value}


def _type(pipeline: Mapping[str, Any], notes: Notes) -> str:
    theirs = str(pipeline.get("pipelineType") or "")
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]+", "_", theirs).lower()
    if kind not in NODE_TYPES:
        notes.add("pipelineType", f"{theirs!r} is not known here: the node is auxiliary")
        return "auxiliary"
    return kind


def _parents(raw: Mapping[str, Any], nodes: Mapping[str, Any], notes: Notes, place: str) -> list[str]:
    theirs = raw.get("parent") or []
    listed = [str(each) for each in (theirs if isinstance(theirs, list) else [theirs])]
    for name in listed:
        if name not in nodes and name != "-1":
            notes.add(f"{place}.parent", f"there is no node {name!r}: it is left out")
    return [identifier(name) for name in listed if name in nodes]


def _schedule(raw: Mapping[str, Any], notes: Notes, place: str, timezone: str) -> Any:
    theirs = raw.get("cronSchedule")
    if not theirs:
        return None
    try:
        cron, differs = from_quartz(str(theirs))
    except ValueError as error:
        notes.add(f"{place}.cronSchedule", f"{error}: the node has no schedule now")
        return None
    if differs:
        notes.add(f"{place}.cronSchedule", f"{differs}; here it is due at the minute")
    return cron if timezone == "UTC" else {"cron": cron, "timezone": timezone}


def _default_model(
    node: dict[str, Any],
    raw: Mapping[str, Any],
    mlapp_id: str,
    model_at: Callable[[str], ModelPath | None],
    notes: Notes,
    place: str,
) -> None:
    given = [key for key in _DEFAULT_MODELS if raw.get(key)]
    if given and node["type"] not in CONSUMERS:
        notes.add(f"{place}.{given[0]}", f"a node of type {node['type']} consumes no models: it is left out")
        return
    path, model_id = raw.get("defaultModelPath"), str(raw.get("defaultModelId") or "")
    model = model_at(str(path)) if path else None
    if model_id:
        node["default_model"] = model_id
        if model is not None:  # as an export writes it
            _note_upload(model_id, model, raw, mlapp_id, notes, place)
    elif path:
        if model is None:
            message = f"there is no {path} in models/: upload it by `mcenter models upload`, and write its id as default_model"
            notes.add(f"{place}.defaultModelPath", message)
            return
        node["default_model"] = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{mlapp_id}-{model.path.stem}")[-100:].strip(
            "-_"
        )
        _note_upload(node["default_model"], model, raw, mlapp_id, notes, place)
    elif name := raw.get("defaultModelName"):
        notes.add(f"{place}.defaultModelName", f"write the id of model {name!r} as default_model")


def _note_upload(
    model_id: str, model: ModelPath, raw: Mapping[str, Any], mlapp_id: str, notes: Notes, place: str
) -> None:
    theirs = str(raw.get("defaultModelFormat") or "")
    known = next((each for each in MODEL_FORMATS if each.lower() == theirs.lower()), None)
    if known is None:
        known = MODEL_FORMATS[-1]
        notes.add(
            f"{place}.defaultModelFormat", f"{theirs!r} is not known here: choose one for --format below"
        )
    file, first = shlex.quote(str(model.path)), ""
    if model.is_directory:
        archive = f"{file}.tar.gz"
        first, file = f"tar -czf {archive} -C {file} . && ", archive
    options = f"--format {known} --mlapp {mlapp_id} --model-id {shlex.quote(model_id)}"
    if raw.get("defaultModelId") and raw.get("defaultModelName"):
        options += f" --name {shlex.quote(str(raw['defaultModelName']))}"
    options = f"{options} {model.options}".rstrip()
    notes.add(
        f"{place}.defaultModelPath",
        f"when the MLApp is applied, before it is launched: `{first}mcenter models upload {file} {options}`",
    )


@dataclass(frozen=True, slots=True)
class ModelPath:
    """A model in the new folder."""

    path: PurePath
    is_directory: bool = False
    options: str = ""
    """More options of ``mcenter models upload``."""


@dataclass(frozen=True, slots=True)
class CommandComponent:
    """A component that runs a command."""

    form: ComponentForm
    script: str
    """Content of its program."""


@dataclass(frozen=True, slots=True)
class OriginalMLApp:
    """An MLApp in the original's files."""

    mlapp: dict[str, Any]
    pipelines: dict[str, dict[str, Any]]
    """By their paths in the folder."""
    node_types: dict[str, str]
    """Of a node that runs each component."""
    commands: dict[str, CommandComponent] = field(default_factory=dict)
    """Commands, which are components there, by the names that pipelines use for them."""


def mlapp_to_original(definition: MLAppDefinition, notes: Notes) -> OriginalMLApp:
    """Documents of ``mlapp.json`` and its pipelines."""
    policy = definition.policy
    mlapp: dict[str, Any] = {"version": "2.0", "name": definition.name}
    if definition.description:
        mlapp["description"] = definition.description
    mlapp["modelPolicy"] = "ALWAYS_UPDATE" if policy.model_policy is ModelPolicy.ALWAYS_UPDATE else "MANUAL"
    mlapp["globalThreshold"] = policy.health_threshold
    if policy.canary_threshold > 0:
        mlapp["canaryThreshold"] = policy.canary_threshold
    if policy.model_policy is ModelPolicy.CANARY:
        notes.add("policy", "canary is not known there: models are approved by hand")
    for rule in definition.rules:
        notes.add("alerts", f"rule {rule.name!r} is not carried over")
    for node_id in definition.node_policies:
        notes.add(f"nodes.{node_id}.policy", "nodes have no policy of their own there")
    found = OriginalMLApp({**mlapp, "nodes": {}}, {}, {})
    for node in definition.nodes:
        found.mlapp["nodes"][node.node_id] = _their_node(node, found, notes)
    return found


def _their_node(node: Node, found: OriginalMLApp, notes: Notes) -> dict[str, Any]:
    path, place = f"pipelines/{node.node_id}.json", f"nodes.{node.node_id}"
    running = running_of(node) or RunningForm()
    component_of: dict[str, str] = {}
    for at, step in enumerate(running.steps):
        mine = step_id(step, at)
        if step.component is None:
            component_of[mine] = identifier(f"{node.node_id}-{mine}")
            found.commands[component_of[mine]] = _command_component(component_of[mine], running.steps, at)
        else:
            component_of[mine] = step.component
        found.node_types.setdefault(component_of[mine], node.type)
    found.pipelines[path] = pipeline_to_original(node.name, node.type, running.steps, component_of, notes)
    theirs: dict[str, Any] = {"parent": list(node.parents), "pipeline": path}
    if node.mode == "online":
        theirs["pipelineMode"] = "online"
    if node.name != node.node_id:
        notes.add(f"{place}.name", f"{node.name!r} is the name of its pipeline there")
    if _GROUP in running.agents:
        theirs["group"] = running.agents[_GROUP]
    if running.default_model:
        theirs["defaultModelId"] = running.default_model
    schedule = running.schedule or (ScheduleForm(cron=node.schedule) if node.schedule else None)
    if schedule is not None:
        _their_schedule(schedule, theirs, notes, place)
    if node.consumes:
        notes.add(
            f"{place}.consumes", f"{', '.join(node.consumes)}: there a node takes the models of its parents"
        )
    _not_carried(running, notes, place)
    return theirs


def _command_component(name: str, steps: Sequence[StepForm], at: int) -> CommandComponent:
    command = steps[at].command or ""
    command = command if isinstance(command, str) else f"exec {shlex.join(command)}"
    form = ComponentForm(
        name=name,
        program="run.sh",
        inputs={each.input or each.output: PortForm() for each in steps[at].parents},
        outputs={output: PortForm() for output in output_names(steps, at, None)},
    )
    return CommandComponent(form, f"#!/bin/sh\n{command}\n")


def _their_schedule(schedule: ScheduleForm, theirs: dict[str, Any], notes: Notes, place: str) -> None:
    try:
        theirs["cronSchedule"] = to_quartz(schedule.cron)
    except ValueError as error:
        notes.add(f"{place}.schedule", f"{error}: the node has no schedule there")
    for key in ScheduleForm.model_fields:
        value = getattr(schedule, key)
        if key != "cron" and value != ScheduleForm.model_fields[key].default:
            notes.add(f"{place}.schedule.{key}", f"{value!r} is not carried over")


def _not_carried(running: RunningForm, notes: Notes, place: str) -> None:
    plain = RunningForm()
    for label in running.agents:
        if label != _GROUP:
            notes.add(
                f"{place}.agents.{label}",
                f"agents have groups there, no labels: only {_GROUP!r} is carried over",
            )
    for key in RunningKeys.model_fields:
        if key not in _CARRIED and getattr(running, key) != getattr(plain, key):
            notes.add(f"{place}.{key}", "is not carried over: there is no such key there")
