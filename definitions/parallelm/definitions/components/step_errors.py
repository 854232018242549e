"""What is wrong with the steps of an MLApp file for the components that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.definitions.components.arguments import argument_mistakes
from parallelm.definitions.mistakes import one_of
from parallelm.definitions.node_entries import mappings_in, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.definitions.components.form import ComponentForm
    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.node_entries import NodeEntry


def named_components(nodes: Sequence[NodeEntry]) -> list[str]:
    """Components that steps name, each once."""
    return list(
        dict.fromkeys(
            name
            for node in nodes
            for _, step in node.mappings("steps")
            if (name := text_of(step.get("component")))
        )
    )


def step_errors(
    nodes: Sequence[NodeEntry], components: Mapping[str, ComponentForm | None]
) -> Iterator[tuple[Path, str]]:
    """Each mistake. A component that is None is wrong itself, which is reported elsewhere."""
    for node in nodes:
        outputs: dict[str, ComponentForm | None] = {}
        for at, step in node.mappings("steps"):
            name = text_of(step.get("component"))
            place: Path = (*node.place, "steps", at)
            if name and name not in components:
                yield (
                    (*place, "component"),
                    f"there is no component {name!r}: components/{name}/component.yaml beside the file is missing",
                )
            component = components.get(name)
            for path, message in _of_step(step, component, outputs):
                yield (*place, *path), message
            outputs[text_of(step.get("id")) or name or f"step-{at + 1}"] = component


def _of_step(
    step: Mapping[str, Any], component: ComponentForm | None, earlier: Mapping[str, ComponentForm | None]
) -> Iterator[tuple[Path, str]]:
    connected = set()
    for at, each in mappings_in(step, "parents"):
        place: Path = ("parents", at)
        parent, output = earlier.get(text_of(each.get("parent"))), text_of(each.get("output"))
        if parent is not None and output and output not in parent.outputs:
            known = parent.outputs or ["none"]
            yield (
                (*place, "output"),
                one_of(f"component {parent.name!r} has no output {output!r}", output, known),
            )
        key = "input" if each.get("input") else "output"
        name = text_of(each.get(key))
        connected.add(name)
        if component is not None and name and name not in component.inputs:
            what = f"component {component.name!r} has no input {name!r}"
            yield (*place, key), one_of(what, name, component.inputs or ["none"])
    if component is None:
        return
    given = step.get("arguments")
    given = given if isinstance(given, dict) else {}
    for key, message in argument_mistakes(component, given):
        yield ("arguments", key) if key else ("component",), message
    for key, form in component.arguments.items():
        comes = (given.get(key), form.default, form.variable)
        if (
            form.input
            and form.input not in connected
            and not form.optional
            and all(each is None for each in comes)
        ):
            yield (
                ("component",),
                f"input {form.input!r} of component {component.name!r} is not connected: add it to parents",
            )
