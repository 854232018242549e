"""An MLApp as its engineers write it: one YAML file with its nodes, its model policy and its alert rules."""

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
