"""What a component's program is called with. Pure: values come in, command lines and mistakes go out."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from parallelm.definitions.errors import ArgumentsError
from parallelm.definitions.mistakes import one_of
from parallelm.definitions.run_spec import step_id
from parallelm.definitions.values import IN_WORDS, as_text, is_of_type, read_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.definitions.components.form import ArgumentForm, ComponentForm
    from parallelm.definitions.components.program import ArgumentSpec, ProgramSpec
    from parallelm.definitions.run_spec import StepSpec
    from parallelm.definitions.running import Argument, StepForm


def resolved_arguments(
    component: ComponentForm | ProgramSpec,
    given: Mapping[str, Argument],
    variables: Mapping[str, str],
    *,
    by_tag: Mapping[str, str],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
) -> dict[str, str]:
    """Value of each argument as text, in the component's order; those that are left out are not there.

    The first that there is counts: the step's own value (``given``), what the agent gives (``by_tag``, paths of ``inputs``
    and ``outputs``), the environment variable, the default. Raises ``ArgumentsError`` with every mistake.
    """
    mistakes = [message for _, message in argument_mistakes(component, given)]
    found: dict[str, str] = {}
    for key, form in component.arguments.items():
        own = given.get(key)
        agents = by_tag.get(form.tag or "") or inputs.get(form.input or "") or outputs.get(form.output or "")
        variable = variables.get(form.variable or "")
        if own is not None:
            found[key] = as_text(own)
        elif agents:
            found[key] = agents
        elif variable:
            try:
                read_value(form.type, variable)
            except ValueError as error:
                # The host's variables are not for everybody who may read how a run has ended.
                mistakes.append(f"{key}: the value of variable {form.variable} {error}")
            found[key] = variable
        elif form.default is not None:
            found[key] = as_text(form.default)
        elif not form.optional:
            mistakes.append(f"{key} has no value: {_sources(form)}")
    if mistakes:
        raise ArgumentsError(f"component {component.name!r}: {'; '.join(mistakes)}")
    return found


def command_line(
    component: ComponentForm | ProgramSpec, arguments: Mapping[str, str], python: str
) -> list[str]:
    """Program and ``--key value`` of each argument; to be run in the component's folder. ``python`` runs ``.py`` files."""
    interpreter = component.interpreter
    if interpreter is not None:
        first = shlex.split(interpreter) if isinstance(interpreter, str) else list(interpreter)
    else:
        first = [python] if component.program.endswith(".py") else []
    program = component.program if first else f"./{component.program}"
    return [*first, program, *(part for key, value in arguments.items() for part in (f"--{key}", value))]


def argument_mistakes(
    component: ComponentForm | ProgramSpec, given: Mapping[str, object]
) -> Iterator[tuple[str, str]]:
    """What is wrong with what a step gives: key and message. The key is empty for what it does not give and must."""
    for key, value in given.items():
        form = component.arguments.get(key)
        if form is None:
            known = component.arguments or ["none"]
            yield key, one_of(f"component {component.name!r} has no argument {key!r}", key, known)
        elif value is not None and not is_of_type(form.type, value):
            yield key, f"{key} is {value!r}, and must be {IN_WORDS[form.type]}"
    for key, form in component.arguments.items():
        comes = (form.default, form.variable, form.tag, form.input, form.output)
        if given.get(key) is None and not form.optional and all(each is None for each in comes):
            yield "", f"component {component.name!r} needs the argument {key!r}"


def _sources(form: ArgumentForm | ArgumentSpec) -> str:
    sources = ["give it in the step's arguments"]
    if form.variable:
        sources.append(f"set {form.variable}")
    if form.tag:
        sources.append(f"the agent has no {form.tag} for it")
    if form.input:
        sources.append(f"connect input {form.input!r}")
    return ", or ".join(sources)


def step_variables(inputs: Mapping[str, str], outputs: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that tell a step's program the paths of its inputs and outputs."""
    return {
        f"MCENTER_{kind}_{variable_word(name)}": path
        for kind, paths in (("INPUT", inputs), ("OUTPUT", outputs))
        for name, path in paths.items()
    }


def variable_word(name: str) -> str:
    """A name as it stands in a variable: upper case, and ``_`` for what is neither letter nor digit."""
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in name).upper()


def output_names(
    steps: Sequence[StepForm] | Sequence[StepSpec], at: int, component: ComponentForm | ProgramSpec | None
) -> list[str]:
    """Outputs of a step: those that its component names, and those that later steps take."""
    step = step_id(steps[at], at)
    taken = [each.output for later in steps[at + 1 :] for each in later.parents if each.parent == step]
    return list(dict.fromkeys([*(component.outputs if component else ()), *taken]))
