"""Mistakes in how nodes are run that the types of their keys do not show: what is unknown, contradicts or has no effect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from parallelm.definitions.durations import duration_in
from parallelm.definitions.node_entries import mappings_in, text_of, unknown
from parallelm.definitions.node_types import CONSUMERS, NODE_TYPES, PRODUCERS
from parallelm.definitions.run_spec import OF_A_CLUSTER
from parallelm.definitions.running import RunningKeys
from parallelm.schemas.records import ModelPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.node_entries import NodeEntry

_OFFLINE_ONLY: Final = ("schedule", "triggers", "retry", "time_limit")
_ONLINE_ONLY: Final = ("restart", "model_delivery")
_CONSUMERS_ONLY: Final = ("default_model", "model_delivery")
_CONFIDENTIAL: Final = r"PASSWORD|PASSWD|SECRET|API[_-]?KEY|ACCESS[_-]?KEY|PRIVATE[_-]?KEY"
_SECRET_VARIABLE: Final = re.compile(rf"(?i)({_CONFIDENTIAL}|TOKEN)$")
_SECRET_NAME: Final = re.compile(rf"(?i)({_CONFIDENTIAL})$")
"""Of arguments and parameters, among which ``eos_token`` and the like are none."""
_LOOKS_CONFIDENTIAL: Final = "looks like a secret, and whoever may read the MLApp sees its value"
_ALWAYS: Final = ModelPolicy.ALWAYS_UPDATE.value
_OF_THE_AGENT: Final = re.compile(r"PM_|MCENTER_RUN_ID$")
_KINDS_OF_TRIGGER: Final = ("after", "model", "deployed", "event")


def running_errors(nodes: Sequence[NodeEntry], policy: Any = None) -> Iterator[tuple[Path, str]]:
    """Each mistake: the path of the value at fault, and what is wrong with it. ``policy`` is the MLApp's, as written."""
    types = {node.id: node.type for node in nodes if node.id}
    run = {node.id for node in nodes if _is_run(node)}
    for node in nodes:
        for path, message in _of_node(node, types, run):
            yield (*node.place, *path), message
    yield from _endless(nodes, policy)


def secret_parameters(document: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Parameters whose values would be secrets in the text that is stored."""
    parameters = document.get("parameters")
    for name in parameters if isinstance(parameters, dict) else ():
        if _SECRET_NAME.search(name):
            yield ("parameters", name), f"{name} {_LOOKS_CONFIDENTIAL}; write it under secrets of a node"


def _is_run(node: NodeEntry) -> bool:
    return bool(node.raw.get("steps") or node.raw.get("pipeline"))


def _of_node(node: NodeEntry, types: Mapping[str, str], run: set[str]) -> Iterator[tuple[Path, str]]:
    raw = node.raw
    if raw.get("steps") and raw.get("pipeline"):
        yield ("steps",), "a node has either steps, or a pipeline that is one command"
    if not _is_run(node):
        yield from _without_effect(raw)
        return
    yield from _mode(node)
    yield from _triggers(node, types, run)
    yield from _steps(node)
    yield from _variables(node)
    yield from _contradictions(raw)
    yield from _with_nul(raw)


def _without_effect(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """A node that somebody else starts may tell its times, for people; everything else would not happen."""
    for key in RunningKeys.model_fields:
        if key in raw and not (key == "schedule" and isinstance(raw[key], str)) and raw[key]:
            yield (key,), f"{key!r} has no effect: agents run a node that has steps or a pipeline"


def _mode(node: NodeEntry) -> Iterator[tuple[Path, str]]:
    raw, mode = node.raw, node.raw.get("mode", "offline")
    for key in _OFFLINE_ONLY if mode == "online" else ():
        if raw.get(key):
            yield (key,), f"{key!r} is for nodes of mode offline; an online one runs until it is stopped"
    for key in _ONLINE_ONLY if mode == "offline" else ():
        if key in raw:
            instead = (
                ", with retry for failures" if key == "restart" else ", with the model that is live then"
            )
            yield (key,), f"{key!r} is for nodes of mode online; an offline one begins a new run{instead}"
    for key in _CONSUMERS_ONLY if node.type in NODE_TYPES - CONSUMERS else ():
        if key in raw:
            yield (key,), f"{key!r} has no effect: nodes of type {node.type} consume no models"


def _triggers(node: NodeEntry, types: Mapping[str, str], run: set[str]) -> Iterator[tuple[Path, str]]:
    for at, trigger in node.mappings("triggers"):
        place: Path = ("triggers", at)
        given = _given(trigger)
        if len(given) != 1:
            found = f"; this one has {' and '.join(given)}" if given else ""
            yield place, f"a trigger needs exactly one of after, model, deployed and event{found}"
        if "on" in trigger and trigger.get("after") is None:
            yield (*place, "on"), "'on' goes with 'after': it tells which ends of that node's runs count"
        after, model, deployed = (text_of(trigger.get(key)) for key in ("after", "model", "deployed"))
        for key, other in (("after", after), ("model", model), ("deployed", deployed)):
            if other and other not in types:
                yield (*place, key), unknown("node", other, types)
        if after in types and after not in run:
            yield (
                (*place, "after"),
                f"agents do not run node {after!r}: it has neither steps nor a pipeline, so no run of it ends",
            )
        if types.get(model) in NODE_TYPES - PRODUCERS:
            yield (*place, "model"), f"node {model!r} is of type {types[model]}, which produces no models"
        if types.get(deployed) in NODE_TYPES - CONSUMERS:
            yield (
                (*place, "deployed"),
                f"node {deployed!r} is of type {types[deployed]}: no models are deployed to it",
            )


def _given(trigger: Mapping[str, Any]) -> list[str]:
    return [kind for kind in _KINDS_OF_TRIGGER if trigger.get(kind) is not None]


def _steps(node: NodeEntry) -> Iterator[tuple[Path, str]]:
    entries = node.raw.get("steps")
    ids = [_step_id(step, at) for at, step in enumerate(entries if isinstance(entries, list) else ())]
    for at, step in node.mappings("steps"):
        place: Path = ("steps", at)
        if (step.get("component") is None) == (step.get("command") is None):
            yield place, "a step runs either a component or a command"
        elif step.get("command") is not None and step.get("arguments"):
            yield (*place, "arguments"), "arguments are for components; write them into the command"
        arguments = step.get("arguments")
        for name, value in arguments.items() if isinstance(arguments, dict) else ():
            if _SECRET_NAME.search(name) and value is not None:
                instead = "give the argument a variable in component.yaml, and write that under secrets"
                yield (*place, "arguments", name), f"{name} {_LOOKS_CONFIDENTIAL}; {instead}"
        if ids[at] in ids[:at]:
            key = next((key for key in ("id", "component") if key in step), "command")
            yield (*place, key), f"step {ids[at]!r} is there already; give this one an id of its own"
        yield from _inputs(step, ids, at)


def _inputs(step: Mapping[str, Any], ids: Sequence[str], at: int) -> Iterator[tuple[Path, str]]:
    taken: set[str] = set()
    for position, each in mappings_in(step, "parents"):
        place: Path = ("steps", at, "parents", position)
        parent = text_of(each.get("parent"))
        if parent and parent in ids[at:] and parent not in ids[:at]:
            what = "a step cannot be its own input" if parent == ids[at] else f"step {parent!r} comes later"
            yield (*place, "parent"), f"{what}; steps run in the order in which they are listed"
        elif parent and parent not in ids[:at]:
            yield (*place, "parent"), unknown("step", parent, [name for name in ids[:at] if name])
        name = text_of(each.get("input")) or text_of(each.get("output"))
        if name and name in taken:
            key = "input" if each.get("input") else "output"
            yield (*place, key), f"input {name!r} is given twice; give this one another name by 'input'"
        taken.add(name)


def _step_id(step: Any, at: int) -> str:
    if not isinstance(step, dict):
        return ""
    return text_of(step.get("id")) or text_of(step.get("component")) or f"step-{at + 1}"


def _variables(node: NodeEntry) -> Iterator[tuple[Path, str]]:
    environment, secrets = node.mapping("environment"), node.mapping("secrets")
    for name in environment:
        if name in secrets:
            yield ("environment", name), f"{name} is among the secrets too; remove one of them"
        elif _SECRET_VARIABLE.search(name):
            instead = f"write it under secrets, as {name}: file:/run/secrets/{name.lower()}"
            yield ("environment", name), f"{name} {_LOOKS_CONFIDENTIAL}; {instead}"
    for section, names in (("environment", environment), ("secrets", secrets)):
        for name in names:
            if _OF_THE_AGENT.match(name):
                yield (section, name), f"{name} has no effect: agents set it themselves"


def _contradictions(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    if "lease" in raw and raw.get("placement", "pinned") == "pinned":
        yield (
            ("lease",),
            "'lease' has no effect on pinned runs, which are never moved; add placement: movable",
        )
    if raw.get("runner") == "kubernetes":
        yield from _in_a_cluster(raw)
    if raw.get("image") and raw.get("runner", "process") == "process":
        yield ("image",), "'image' has no effect without runner: kubernetes"
    delivery = raw.get("model_delivery")
    if isinstance(delivery, dict) and "signal" in delivery and delivery.get("by") != "signal":
        yield ("model_delivery", "signal"), "'signal' has no effect without by: signal"
    yield from _times(raw)


def _in_a_cluster(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """What no cluster can do; agents refuse it as well. Which image a node without one gets is each agent's setting."""
    if raw.get("placement") == "movable":
        yield (
            ("placement",),
            "movable is for processes on hosts; Kubernetes moves Pods by itself: leave it out",
        )
    delivery, secrets = raw.get("model_delivery"), raw.get("secrets")
    if isinstance(delivery, dict) and delivery.get("by") == "signal":
        yield ("model_delivery", "by"), "a signal does not reach a Pod; write restart or question"
    for name, reference in secrets.items() if isinstance(secrets, dict) else ():
        found = re.match(r"(file|env|kubernetes):", str(reference))
        if found and not re.fullmatch(OF_A_CLUSTER, str(reference)):
            yield ("secrets", name), "a Pod has the cluster's secrets only; write kubernetes:SECRET/KEY"


def _with_nul(value: Any, place: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str) and "\0" in value:
        yield place, "has a NUL character, which no program can be given; remove it"
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    )
    for key, each in entries:
        yield from _with_nul(each, (*place, key))


def _times(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Durations that leave nothing of each other."""
    retry, schedule = raw.get("retry"), raw.get("schedule")
    if isinstance(retry, dict) and retry and not retry.get("limit"):
        yield ("retry",), "'retry' has no effect without a limit of 1 or more"
    if isinstance(schedule, dict):
        jitter, deadline = (duration_in(schedule, name) for name in ("jitter", "deadline"))
        if jitter and deadline and deadline <= jitter:
            message = (
                "schedule.deadline is not longer than its jitter: runs could be missed before they may begin"
            )
            yield ("schedule", "deadline"), message
    for key in ("restart", "retry"):
        of = raw.get(key)
        delay, longest = (
            duration_in(of, name) if isinstance(of, dict) else None for name in ("delay", "max_delay")
        )
        if delay and longest and delay > longest:
            yield (key, "max_delay"), f"{key}.max_delay is shorter than its delay"


def _takes_every_model(node: NodeEntry, policy: Any) -> bool:
    own = node.raw.get("policy") or policy
    is_always = not isinstance(own, dict) or own.get("model_policy", _ALWAYS) == _ALWAYS
    return is_always and node.type in CONSUMERS


def _endless(nodes: Sequence[NodeEntry], policy: Any) -> Iterator[tuple[Path, str]]:
    """Nodes whose runs make each other due without end.

    What happens only after a failure, on an event, or when a policy or a person lets a model pass, may end.
    """
    from graphlib import CycleError, TopologicalSorter

    known = {node.id: node for node in nodes if node.id}
    causes: dict[str, list[str]] = {node.id: [] for node in nodes if node.id}
    for node in nodes:
        for _, trigger in node.mappings("triggers"):
            cause = text_of(trigger.get("model")) or text_of(trigger.get("after"))
            if node.id and cause in causes and len(_given(trigger)) == 1 and trigger.get("on") != "failure":
                causes[node.id].append(cause)
            deployed = known.get(text_of(trigger.get("deployed")))
            if node.id and deployed is not None and _takes_every_model(deployed, policy):
                producers = [each for _, each in deployed.listed("consumes")] or [
                    each.id for each in nodes if each.type in PRODUCERS
                ]
                causes[node.id] += [each for each in producers if each in causes]
    try:
        TopologicalSorter(causes).prepare()
    except CycleError as error:
        circle = error.args[1][1:]
        first = next(node for node in nodes if node.id in circle)
        if len(circle) == 1:
            yield (*first.place, "triggers"), f"node {first.id!r} is run by its own runs, without end"
        else:
            listed = ", ".join(map(repr, sorted(circle)))
            yield (*first.place, "triggers"), f"nodes {listed} are run by each other's runs, without end"
