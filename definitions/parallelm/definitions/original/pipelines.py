"""Pipelines of the original, in both of their versions, and steps."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from parallelm.definitions.original.components import argument_types, port_name, typed
from parallelm.definitions.original.notes import entries, identifier, mapping
from parallelm.definitions.run_spec import step_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.definitions.original.notes import Notes
    from parallelm.definitions.running import StepForm

_READ = {"version", "name", "engineType", "pipelineType", "pipelineMode", "pipe"}


def steps_from_original(
    raw: Mapping[str, Any], components: Mapping[str, Mapping[str, Any]], notes: Notes
) -> list[dict[str, Any]]:
    """Steps of a pipeline, each after those that it takes something from.

    ``components`` are the documents of ``component.json`` by the names that pipelines use.
    """
    notes.unread(dict(raw), _READ)
    pipeline = _Pipeline(raw.get("pipe"), components, notes)
    return [pipeline.step(key) for key in pipeline.in_order()]


class _Pipeline:
    """One pipeline; steps are known by their keys: names, and in version 1.0 numbers."""

    def __init__(self, pipe: Any, components: Mapping[str, Mapping[str, Any]], notes: Notes) -> None:
        self._components, self._notes = components, notes
        if isinstance(pipe, list):
            self._steps = {str(step.get("id", at)): step for at, step in enumerate(entries(pipe))}
            self._component_key = "type"
        else:
            self._steps = {name: step for name, step in mapping(pipe).items() if isinstance(step, dict)}
            self._component_key = "componentName"
        if not self._steps:
            notes.add("pipe", "there are no steps: nothing will run this node")
        self._ids: dict[str, str] = {}
        for key, step in self._steps.items():
            name = identifier(step.get("name") or step.get("type") if isinstance(pipe, list) else key)
            self._ids[key] = name if name not in self._ids.values() else f"{name}-{identifier(key)}"

    def in_order(self) -> list[str]:
        above = {
            key: [
                parent
                for each in entries(step.get("parents"))
                if (parent := str(each.get("parent"))) in self._steps
            ]
            for key, step in self._steps.items()
        }
        try:
            return list(TopologicalSorter(above).static_order())
        except CycleError as error:
            listed = ", ".join(error.args[1][1:])
            self._notes.add("pipe", f"steps {listed} wait for each other: take one of their parents out")
            return list(self._steps)

    def step(self, key: str) -> dict[str, Any]:
        raw, place = self._steps[key], f"pipe.{key}"
        component = str(raw.get(self._component_key) or "")
        if component not in self._components:
            message = f"component {component!r} is not among the folders: put it into components/"
            self._notes.add(f"{place}.{self._component_key}", message)
        known = {"name", "id", "type", "componentName", "parents", "arguments"}
        self._notes.unread(dict(raw), known, f"{place}.")
        document = self._components.get(component, {})
        parents = [
            self._parent(document, at, each, place) for at, each in enumerate(entries(raw.get("parents")))
        ]
        name = identifier(component)
        step = {
            "component": name,
            "id": self._ids[key] if self._ids[key] != name else None,
            "arguments": self._arguments(mapping(raw.get("arguments")), document, place),
            "parents": [each for each in parents if each],
        }
        return {name: value for name, value in step.items() if value}

    def _arguments(self, given: Mapping[str, Any], document: Mapping[str, Any], place: str) -> dict[str, Any]:
        types = argument_types(document)
        found = {}
        for key, value in given.items():
            kind = types.get(key, "text")
            is_free = key not in types and not isinstance(value, dict | list)
            where = f"{place}.arguments.{key}"
            found[identifier(key)] = value if is_free else typed(value, kind, self._notes, where)
        return {key: value for key, value in found.items() if value is not None}

    def _parent(
        self, document: Mapping[str, Any], at: int, each: Mapping[str, Any], place: str
    ) -> dict[str, str] | None:
        parent = str(each.get("parent"))
        if parent not in self._steps:
            self._notes.add(f"{place}.parents[{at}].parent", f"there is no step {parent!r}: it is left out")
            return None
        above = self._components.get(str(self._steps[parent].get(self._component_key) or ""), {})
        output = _port(each.get("output", 0), above, "outputInfo")
        taken = _port(each.get("input", at), document, "inputInfo", output)
        found = {"parent": self._ids[parent], "output": output}
        return found if taken == output else {**found, "input": taken}


def _port(value: Any, document: Mapping[str, Any], key: str, otherwise: str = "") -> str:
    """A label as it is; a number is that of the component's input or output."""
    if not isinstance(value, int) and not str(value).isdigit():
        return str(value)
    ports, number = entries(document.get(key)), int(value)
    if number < len(ports):
        return port_name(ports[number], number)
    return otherwise or port_name({}, number)


def pipeline_to_original(
    name: str, node_type: str, steps: Sequence[StepForm], component_of: Mapping[str, str], notes: Notes
) -> dict[str, Any]:
    """A pipeline of version 2.0; ``component_of`` are the components of steps by their ids."""
    pipe: dict[str, Any] = {}
    for at, step in enumerate(steps):
        mine = step_id(step, at)
        for each in step.parents:
            if each.input and each.input != each.output:
                notes.add(
                    f"pipe.{mine}.parents",
                    f"input {each.input!r} has no name there: inputs go by their order",
                )
        pipe[mine] = {
            "componentName": component_of[mine],
            "arguments": {key: value for key, value in step.arguments.items() if value is not None},
            "parents": [{"parent": each.parent, "output": each.output} for each in step.parents],
        }
    return {
        "version": "2.0",
        "name": name,
        "engineType": "Generic",
        "pipelineType": node_type,
        "pipe": pipe,
    }
