"""Components: a folder with a program and ``component.yaml``, which pipelines of MLApps name.

As in the package above, names are imported when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
_MODULES = {
    "Component": "reading",
    "ComponentForm": "form",
    "PackedComponent": "packing",
    "argument_mistakes": "arguments",
    "command_line": "arguments",
    "output_names": "arguments",
    "pack": "packing",
    "read_component": "reading",
    "resolved_arguments": "arguments",
    "step_variables": "arguments",
    "unpack": "packing",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
