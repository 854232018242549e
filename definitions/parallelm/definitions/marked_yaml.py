"""YAML with the place of everything in it: plain values, and a mark for each path from the root."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from parallelm.definitions.errors import DefinitionError, Problem

Path = tuple[str | int, ...]
"""Keys and indexes from the root: ``("nodes", 1, "id")``."""

_MAX_DEPTH = 20
_MAX_VALUES = 100_000
"""Aliases let a few lines stand for billions of values."""


@dataclass(frozen=True, slots=True)
class MarkedYaml:
    """A document: its plain ``value``, and line and column (from 1) of each key and of each value."""

    value: Any
    keys: dict[Path, tuple[int, int]]
    values: dict[Path, tuple[int, int]]

    def place(self, path: Path, *, of_key: bool = False) -> tuple[int, int]:
        """Line and column of ``path``, or of the nearest thing around it that the file has."""
        marks = self.keys if of_key else self.values
        while path and path not in marks:
            path = path[:-1]
        return marks.get(path) or self.values[()]


@dataclass(slots=True)
class _Reader:
    """Walks the composed nodes; anchors are resolved by PyYAML, so that aliases share their node."""

    source: str
    problems: list[Problem] = field(default_factory=list)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    constructor: yaml.SafeLoader = field(default_factory=lambda: yaml.SafeLoader(""))

    def read(self, node: yaml.Node, path: Path) -> Any:
        """Plain value of a node; notes its mark. Raises ``DefinitionError`` for more than any MLApp needs."""
        if len(self.values) >= _MAX_VALUES:
            self._problem(node, f"more than {_MAX_VALUES} values, aliases resolved")
            raise DefinitionError(self.source, self.problems)
        self.values[path] = _place(node)
        if len(path) > _MAX_DEPTH:
            self._problem(node, f"nested deeper than {_MAX_DEPTH} levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str):
                self._problem(key_node, "a key must be a plain word")
                continue
            if key in value:
                line = self.keys[*path, key][0]
                self._problem(key_node, f"{key!r} is given twice; the first one is in line {line}")
                continue
            self.keys[*path, key] = _place(key_node)
            value[key] = self.read(value_node, (*path, key))
        return value

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self.constructor.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self._problem(node, f"{node.value!r} cannot be read: {getattr(error, 'problem', error)}")
            return None

    def _problem(self, node: yaml.Node, message: str) -> None:
        self.problems.append(Problem(*_place(node), message))


def read_marked(text: str, source: str) -> MarkedYaml:
    """Parse one YAML document; raises ``DefinitionError`` for bad syntax, duplicate keys and several documents."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise DefinitionError(source, [Problem(line, column, f"this is no YAML: {said}")]) from error
    except yaml.YAMLError as error:  # characters that YAML does not allow; they carry no mark
        raise DefinitionError(source, [Problem(1, 1, f"this is no YAML: {error}")]) from error
    except RecursionError as error:
        raise DefinitionError(source, [Problem(1, 1, "nested too deeply")]) from error
    if node is None:
        raise DefinitionError(source, [Problem(1, 1, "the file is empty")])
    reader = _Reader(source)
    value = reader.read(node, ())
    if reader.problems:
        raise DefinitionError(source, reader.problems)
    return MarkedYaml(value, reader.keys, reader.values)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
