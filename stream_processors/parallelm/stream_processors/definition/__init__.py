"""An MLApp as its engineers write it: one YAML file with its nodes, its model policy and its alert rules."""

from parallelm.stream_processors.definition.errors import DefinitionError, Problem
from parallelm.stream_processors.definition.reading import parse_definition
from parallelm.stream_processors.definition.records import next_version, to_record
from parallelm.stream_processors.definition.topic import DefinitionTopic

__all__ = ["DefinitionError", "DefinitionTopic", "Problem", "next_version", "parse_definition", "to_record"]
