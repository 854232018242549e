"""Components: a folder with a program and ``component.yaml``, which pipelines of MLApps name."""

from parallelm.definitions.components.arguments import (
    argument_mistakes,
    command_line,
    output_names,
    resolved_arguments,
    step_variables,
)
from parallelm.definitions.components.form import ComponentForm
from parallelm.definitions.components.packing import PackedComponent, pack, unpack
from parallelm.definitions.components.reading import Component, read_component

__all__ = [
    "Component",
    "ComponentForm",
    "PackedComponent",
    "argument_mistakes",
    "command_line",
    "output_names",
    "pack",
    "read_component",
    "resolved_arguments",
    "step_variables",
    "unpack",
]
