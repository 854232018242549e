"""From the text of an MLApp file to its model, or to every mistake in it with its place."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from parallelm.definitions.errors import DefinitionError, Problem
from parallelm.definitions.marked_yaml import read_marked
from parallelm.definitions.meaning import contradictions
from parallelm.definitions.model import (
    Entry,
    HealthRuleEntry,
    MLAppEntry,
    NodeEntry,
    PolicyEntry,
    ThresholdRuleEntry,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from parallelm.definitions.marked_yaml import MarkedYaml, Path

MAX_BYTES = 400_000
"""A definition travels as one record, its text and what it says, and a broker takes records up to 1 MB."""

_RULES: dict[str, type[Entry]] = {"threshold": ThresholdRuleEntry, "health": HealthRuleEntry}
_LATER_RULES = ("rate_of_change", "no_data", "z_score", "canary", "kpi", "event")
_LATER_POLICIES = ("manual", "canary")
_PLAIN = {
    "missing": "is missing",
    "string_type": "must be text; put it in quotes if it looks like a number, a date, yes or no",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys and values",
    "model_type": "must be a mapping of keys and values",
    "model_attributes_type": "must be a mapping of keys and values",
    "string_pattern_mismatch": "may hold letters, digits, '.', '_' and '-' only, and starts with a letter or digit",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "finite_number": "must be a finite number",
}


def parse_definition(text: str, source: str) -> MLAppEntry:
    """Model of an MLApp file; raises ``DefinitionError`` with every mistake found. ``source`` names the file in it."""
    size_bytes = len(text.encode(errors="surrogatepass"))
    if size_bytes > MAX_BYTES:
        raise DefinitionError(
            source, [Problem(1, 1, f"{size_bytes} bytes are too many; at most {MAX_BYTES}")]
        )
    document = read_marked(text, source)
    try:
        entry = MLAppEntry.model_validate(document.value)
    except ValidationError as error:
        details = [detail for detail in error.errors(include_url=False) if not _other_form(detail)]
        problems = [_problem(detail, document) for detail in details]
        raise DefinitionError(source, list(dict.fromkeys(problems))) from error
    found = [Problem(*document.place(path), message) for path, message in contradictions(entry)]
    if found:
        raise DefinitionError(source, found)
    return entry


def _other_form(detail: ErrorDetails) -> bool:
    """Whether it only says that ``features`` is not of the form (list or word) that nobody tried to write."""
    if _path(detail["loc"])[2:] != ("features",):
        return False
    return detail["type"] == ("literal_error" if isinstance(detail["input"], list) else "list_type")


def _problem(detail: ErrorDetails, document: MarkedYaml) -> Problem:
    path, kind = _path(detail["loc"]), detail["type"]
    if kind == "extra_forbidden":
        return Problem(*document.place(path, of_key=True), _unknown_key(path, detail["loc"]))
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        return _bad_rule_type(path, detail, document)
    return Problem(*document.place(path), f"{_shown(path)} {_sentence(detail)}")


def _path(loc: tuple[str | int, ...]) -> Path:
    """Pydantic's place without the parts that no file has: tags of unions and names of types."""
    if loc[:1] == ("alerts",) and len(loc) > 2:  # noqa: PLR2004 - alerts, index, tag
        loc = loc[:2] + loc[3:]
    if len(loc) > 3 and loc[2] == "features":  # noqa: PLR2004 - features is a list or the word all
        loc = tuple(part for part in loc if isinstance(part, int) or "[" not in part)
    return loc


def _unknown_key(path: Path, loc: tuple[str | int, ...]) -> str:
    fields = _entry_of(loc).model_fields
    known = [field.alias or name for name, field in fields.items()]
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(known)}"
    return f"unknown key {path[-1]!r}{hint}"


def _entry_of(loc: tuple[str | int, ...]) -> type[Entry]:
    if loc[0] == "alerts":
        return _RULES[str(loc[2])]
    within: dict[Any, type[Entry]] = {"nodes": NodeEntry, "policy": PolicyEntry}
    return within.get(loc[0], MLAppEntry) if len(loc) > 1 else MLAppEntry


def _bad_rule_type(path: Path, detail: ErrorDetails, document: MarkedYaml) -> Problem:
    given = detail["input"].get("type") if isinstance(detail["input"], dict) else None
    place = document.place((*path, "type"))
    if given is None:
        return Problem(*place, f"{_shown(path)} has no type; there are: {', '.join(_RULES)}")
    if given in _LATER_RULES:
        return Problem(
            *place, f"alert rules of type {given!r} are not implemented yet; there are: {', '.join(_RULES)}"
        )
    return Problem(*place, _one_of(f"unknown type {given!r}", str(given), list(_RULES)))


def _sentence(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "literal_error":
        return _not_allowed(detail["input"], str(context["expected"]))
    if kind == "value_error":
        return f"cannot be: {context['error']}"
    return f"is {detail['input']!r}: {detail['msg'].removeprefix('Input ')}"


def _not_allowed(given: Any, expected: str) -> str:
    if given in _LATER_POLICIES and "always_update" in expected:
        return f"is {given!r}, which is not implemented yet; there is: {expected}"
    allowed = expected.replace("'", "").replace(" or ", ", ").split(", ")
    return _one_of(f"is {given!r}", str(given), allowed)


def _one_of(what: str, given: str, allowed: list[str]) -> str:
    near = difflib.get_close_matches(given, allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{what}{hint or '; there are: ' + ', '.join(allowed)}"


def _shown(path: Path) -> str:
    if not path:
        return "the file"
    words = ""
    for part in path:
        words += f"[{part}]" if isinstance(part, int) else f"{'.' if words else ''}{part}"
    return words
