"""An MLApp as its engineers write it: one YAML file with its nodes, its model policy and its alert rules.

The names are imported when they are asked for: agents use what runs are made of, and are to take little memory.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallelm.definitions.errors import DefinitionError, Problem
    from parallelm.definitions.reading import parse_definition
    from parallelm.definitions.records import next_version, running_of, to_record
    from parallelm.definitions.topic import DefinitionTopic

__all__ = [
    "DefinitionError",
    "DefinitionTopic",
    "Problem",
    "next_version",
    "parse_definition",
    "running_of",
    "to_record",
]
_MODULES = {
    "DefinitionError": "errors",
    "DefinitionTopic": "topic",
    "Problem": "errors",
    "next_version": "records",
    "parse_definition": "reading",
    "running_of": "records",
    "to_record": "records",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
