"""YAML with the place of everything in it: plain values, and a mark for each path from the root.

Scalars follow the core schema of YAML 1.2: ``1e-3`` is a number, ``010`` is ten, ``no`` and ``2013-01-01`` are text.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode
from ruamel.yaml.resolver import BaseResolver

from parallelm.definitions.errors import DefinitionError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from ruamel.yaml.nodes import Node

Path = tuple[str | int, ...]
"""Keys and indexes from the root: ``("nodes", 1, "id")``."""

_MAX_DEPTH = 20
_MAX_VALUES = 100_000
"""With aliases, a few lines can expand to billions of values."""
_TAG = "tag:yaml.org,2002:"
_FLOAT_WORDS = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}


class _CoreSchema(BaseResolver):
    """Types of plain scalars by the core schema (YAML 1.2.2, section 10.3.2)."""

    def __init__(self, *, version: Any, loader: Any) -> None:  # noqa: ARG002 - the one schema there is
        super().__init__(loader)

    @property
    def processing_version(self) -> tuple[int, int]:
        """Version of YAML that the scanner follows."""
        return 1, 2


for _kind, _pattern, _starts in (
    ("null", r"(?:null|Null|NULL|~|)", ["n", "N", "~", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)", list("-+0123456789")),
    (
        "float",
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))",
        list("-+.0123456789"),
    ),
):
    _CoreSchema.add_implicit_resolver_base(_TAG + _kind, re.compile(rf"{_pattern}\Z"), _starts)


def _integer(text: str) -> int:
    return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)


def _float(text: str) -> float:
    return float(_FLOAT_WORDS.get(text.lower(), text))


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text.lower() == "true"


_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda _text: None,
    "bool": _boolean,
    "int": _integer,
    "float": _float,
    "str": str,
}


@dataclass(frozen=True, slots=True)
class MarkedYaml:
    """A document: its plain ``value``, line and column (from 1) of each key and of each value, and what is wrong so far."""

    value: Any
    keys: dict[Path, tuple[int, int]]
    values: dict[Path, tuple[int, int]]
    problems: list[Problem]
    spans: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """Characters from and to which each value stands in the text; of an alias those of its anchor."""

    def place(self, path: Path, *, of_key: bool = False) -> tuple[int, int]:
        """Line and column of ``path``, or of the nearest thing around it that the file has."""
        marks = self.keys if of_key else self.values
        while path and path not in marks:
            path = path[:-1]
        return marks.get(path) or self.values[()]


@dataclass(slots=True)
class _Reader:
    """Walks the composed nodes. Aliases share the node of their anchor."""

    source: str
    problems: list[Problem] = field(default_factory=list)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    spans: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def read(self, node: Node, path: Path) -> Any:
        """Plain value of a node; notes its mark. Raises ``DefinitionError`` for more values than any MLApp needs."""
        if len(self.values) >= _MAX_VALUES:
            self._problem(node, f"more than {_MAX_VALUES} values, aliases resolved")
            raise DefinitionError(self.source, self.problems)
        nothing = isinstance(node.value, str) and not node.value and path in self.keys
        self.values[path] = self.keys[path] if nothing else _place(node)
        self.spans[path] = node.start_mark.index, node.end_mark.index
        if len(path) > _MAX_DEPTH:
            self._problem(node, f"nested deeper than {_MAX_DEPTH} levels")
            return None
        kind = str(node.tag).removeprefix(_TAG)
        if isinstance(node, MappingNode) and kind == "map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and kind == "seq":
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, kind)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
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

    def _scalar(self, node: Node, kind: str) -> Any:
        construct = _SCALARS.get(kind) if isinstance(node.value, str) else None
        if construct is None:
            self._problem(node, f"the tag {node.tag!s} is not supported; write plain values")
            return None
        try:
            return construct(node.value)
        except ValueError as error:
            self._problem(node, f"{node.value[:50]!r} cannot be read as {kind}: {error}")
            return None

    def _problem(self, node: Node, message: str) -> None:
        self.problems.append(Problem(*_place(node), message))


def read_marked(text: str, source: str) -> MarkedYaml:
    """Parse one YAML document; raises ``DefinitionError`` for bad syntax, several documents and empty files.

    What is wrong beyond syntax (keys given twice, values that cannot be read) is in ``problems``; the rest of the
    document is still read, so that all mistakes can be reported together.
    """
    node, warned = _compose(text, source)
    if node is None:
        raise DefinitionError(source, [Problem(1, 1, "the file is empty")])
    reader = _Reader(source, warned)
    value = reader.read(node, ())
    return MarkedYaml(value, reader.keys, reader.values, reader.problems, reader.spans)


def _compose(text: str, source: str) -> tuple[Node | None, list[Problem]]:
    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver = _CoreSchema
    yaml.max_depth = 5 * _MAX_DEPTH
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ReusedAnchorWarning)
            node = yaml.compose(text)
    except ReusedAnchorWarning as error:
        message = " ".join(str(error).split()).replace('in "<unicode string>", ', "")
        raise DefinitionError(source, [Problem(1, 1, message)]) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        details = ", ".join(part for part in (error.context, error.problem) if part)
        raise DefinitionError(source, [Problem(line, column, f"not valid YAML: {details}")]) from error
    except (YAMLError, ValueError) as error:  # characters that YAML does not allow; they carry no mark
        raise DefinitionError(source, [Problem(1, 1, f"not valid YAML: {error}")]) from error
    except RecursionError as error:
        raise DefinitionError(source, [Problem(1, 1, "nested too deeply")]) from error
    version = yaml.doc_infos[-1].doc_version if yaml.doc_infos else None
    if version is not None and (version.major, version.minor) != (1, 2):
        message = f"the file asks for YAML {version.major}.{version.minor}; it is read as YAML 1.2: remove the %YAML line"
        return node, [Problem(1, 1, message)]
    return node, []


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
