"""Parameters of an MLApp file: an MLApp as a template, whose values are chosen when it is applied.

``${parameters.depth}`` stands for a value anywhere in the file; alone it keeps its type, within a text it is written out.
What was chosen stands in the text that is stored, as the parameter's default: read again it gives the same.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from parallelm.definitions.errors import DefinitionError, Problem
from parallelm.definitions.form import Form, Identifier
from parallelm.definitions.marked_yaml import MarkedYaml, read_marked
from parallelm.definitions.mistakes import one_of
from parallelm.definitions.running import Argument
from parallelm.definitions.values import IN_WORDS, ValueType, as_text, is_of_type, read_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path

_REFERENCE = re.compile(r"(?P<escape>\$?)\$\{parameters\.(?P<name>[^{}]*)\}")
_SECTION = "parameters"


class ParameterForm(Form):
    """A parameter; without a default its value must be given."""

    type: ValueType = "text"
    default: Argument = None
    description: str = ""


def _written_short(value: Any) -> Any:
    """``depth: 6`` is a parameter of the type of its default."""
    if value is None or isinstance(value, dict | list):
        return value
    return {"type": _type_of(value), "default": value}


def _type_of(value: object) -> str:
    return next(
        kind
        for kind in ("text", "boolean", "integer", "number")
        if is_of_type(kind, value) or kind == "number"
    )


Parameters = dict[Identifier, Annotated[ParameterForm, BeforeValidator(_written_short)]]


def with_parameters(document: MarkedYaml) -> MarkedYaml:
    """The document with values for all references; those that cannot be resolved are among its problems."""
    raw = document.value
    if not isinstance(raw, dict):
        return document
    filling = _Filling(document, _declared(raw))
    value = {key: each if key == _SECTION else filling.filled(each, (key,)) for key, each in raw.items()}
    filling.check_declarations()
    return MarkedYaml(value, document.keys, document.values, filling.problems, document.spans)


def with_values(text: str, source: str, values: Mapping[str, str]) -> str:
    """The text with ``values`` as the defaults of its parameters; raises ``DefinitionError`` with every mistake in them."""
    mistakes: list[Problem] = []
    for name, given in values.items():
        document = read_marked(text, source)
        declared = _declared(document.value)
        place = document.place((_SECTION, name), of_key=True)
        if name not in declared:
            message = one_of(f"there is no parameter {name!r}", name, list(declared) or ["none"])
            mistakes.append(Problem(*place, message))
            continue
        try:
            value = read_value(str(declared[name].get("type", "text")), given)
        except (ValueError, KeyError) as error:
            mistakes.append(Problem(*place, f"parameter {name!r} was given {given!r}: {error}"))
            continue
        text = _with_default(text, document, source, name, value)
    if mistakes:
        raise DefinitionError(source, mistakes)
    return text


def _declared(raw: Any) -> dict[str, Mapping[str, Any]]:
    section = raw.get(_SECTION) if isinstance(raw, dict) else None
    found = (
        {name: _written_short(each) for name, each in section.items()} if isinstance(section, dict) else {}
    )
    return {name: each for name, each in found.items() if isinstance(each, dict)}


class _Filling:
    """Replaces references, and notes what is wrong with them and with what they refer to."""

    def __init__(self, document: MarkedYaml, declared: Mapping[str, Mapping[str, Any]]) -> None:
        self.problems = list(document.problems)
        self._document = document
        self._declared = declared
        self._used: set[str] = set()

    def filled(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: self.filled(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each, (*path, at)) for at, each in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and f"{{{_SECTION}." in value else value

    def _text(self, text: str, path: Path) -> Any:
        alone = _REFERENCE.fullmatch(text)
        if alone and not alone["escape"]:
            return self._value(alone["name"], path)
        return _REFERENCE.sub(
            lambda found: found[0][1:] if found["escape"] else as_text(self._value(found["name"], path)), text
        )

    def _value(self, name: str, path: Path) -> Any:
        self._used.add(name)
        parameter = self._declared.get(name)
        if parameter is None:
            known = list(self._declared) or ["none"]
            self._problem(path, one_of(f"there is no parameter {name!r}", name, known))
            return ""
        if parameter.get("default") is None:
            self._problem(
                path, f"parameter {name!r} has no value: give it a default, or apply with --set {name}=VALUE"
            )
            return ""
        return parameter["default"]

    def check_declarations(self) -> None:
        for name, parameter in self._declared.items():
            place: Path = (_SECTION, name)
            for message in self._mistakes(name, parameter):
                self._problem(place, message)

    def _mistakes(self, name: str, parameter: Mapping[str, Any]) -> Iterator[str]:
        kind, default = str(parameter.get("type", "text")), parameter.get("default")
        if kind in IN_WORDS and default is not None and not is_of_type(kind, default):
            yield f"the default of parameter {name!r} is {default!r}, and must be {IN_WORDS[kind]}"
        if isinstance(default, str) and _REFERENCE.search(default):
            yield f"the default of parameter {name!r} refers to a parameter: write its value"
        if name not in self._used:
            yield f"parameter {name!r} is not used; a value refers to it as ${{parameters.{name}}}"

    def _problem(self, path: Path, message: str) -> None:
        self.problems.append(Problem(*self._document.place(path), message))


def _with_default(text: str, document: MarkedYaml, source: str, name: str, value: Any) -> str:
    """The text with another default, and nothing else changed."""
    written = json.dumps(value, ensure_ascii=False)
    raw = document.value[_SECTION][name]
    start, end = document.spans[_SECTION, name]
    if not isinstance(raw, dict):
        changed = _spliced(text, start, end, written)
    elif "default" in raw:
        changed = _spliced(text, *document.spans[_SECTION, name, "default"], written)
    elif text[start] == "{":
        changed = f"{text[: start + 1]}default: {written}, {text[start + 1 :]}"
    else:
        indent = " " * (document.values[_SECTION, name][1] - 1)
        changed = f"{text[:start]}default: {written}\n{indent}{text[start:]}"
    wanted = {**raw, "default": value} if isinstance(raw, dict) else value
    expected = {**document.value, _SECTION: {**document.value[_SECTION], name: wanted}}
    if _value_of(changed, source) != expected:  # anchors, aliases and the like
        place = document.place((_SECTION, name))
        raise DefinitionError(
            source, [Problem(*place, f"parameter {name!r} cannot be given: write its default plainly")]
        )
    return changed


def _spliced(text: str, start: int, end: int, written: str) -> str:
    kept = text[start:end]
    return text[:start] + written + kept[len(kept.rstrip()) :] + text[end:]


def _value_of(text: str, source: str) -> Any:
    try:
        return read_marked(text, source).value
    except DefinitionError:
        return None
