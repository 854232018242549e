"""Pydantic's errors as sentences with the place in the file."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from parallelm.definitions.form import Form
    from parallelm.definitions.marked_yaml import Path

_PLAIN = {
    "missing": "is missing",
    "string_type": "must be text; put it in quotes if it looks like a number, true, false or null",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys and values",
    "model_type": "must be a mapping of keys and values",
    "model_attributes_type": "must be a mapping of keys and values",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}


def field_mistakes(
    error: ValidationError, form: type[Form], raw: Any, where: Path
) -> Iterator[tuple[Path, bool, str]]:
    """Path in the file, whether its key is at fault, and a sentence, for each error of ``form`` at ``where``."""
    for detail in error.errors(include_url=False):
        path = (*where, *_path_in(raw, detail))
        if detail["type"] == "extra_forbidden":
            inner = _form_at(form, path[len(where) : -1])
            known = [field.alias or name for name, field in inner.model_fields.items()]
            yield path, True, one_of(f"unknown key {path[-1]!r}", str(path[-1]), known)
        else:
            yield path, False, f"{shown(path)} {_sentence(detail)}"


def _form_at(form: type[Form], path: Path) -> type[Form]:
    """The form of the mapping at a path within a form: of a route in a list of routes, for example."""
    for part in path:
        field = next((each for name, each in form.model_fields.items() if part in {name, each.alias}), None)
        form = next(_forms_in(field.annotation), form) if field is not None else form
    return form


def _forms_in(annotation: Any) -> Iterator[type[Form]]:
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        yield annotation
    for inner in get_args(annotation):
        yield from _forms_in(inner)


def one_of(what: str, given: str, allowed: Iterable[str]) -> str:
    """``what``, and the entry of ``allowed`` that was probably meant, or all of them."""
    allowed = list(allowed)
    near = difflib.get_close_matches(given, allowed, n=1, cutoff=0.75)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{what}{hint or '; there are: ' + ', '.join(allowed)}"


def shown(path: Path) -> str:
    """A path as people write it: ``nodes[1].id``."""
    words = ""
    for part in path:
        words += f"[{part}]" if isinstance(part, int) else f"{'.' if words else ''}{part}"
    return words or "the file"


def _path_in(raw: Any, detail: ErrorDetails) -> Path:
    """Pydantic's place without the parts that no file has: tags of unions, and the mark for a mapping's key."""
    path: list[str | int] = []
    for at, part in enumerate(detail["loc"]):
        is_last = at == len(detail["loc"]) - 1
        if _holds(raw, part):
            raw = raw[part]
        elif not (is_last and detail["type"] in {"missing", "extra_forbidden"}):
            continue
        path.append(part)
    return tuple(path)


def _holds(raw: Any, part: str | int) -> bool:
    if isinstance(raw, dict):
        return part in raw
    return isinstance(raw, list) and isinstance(part, int) and part < len(raw)


def _sentence(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return _pattern_sentence(str(context["pattern"]), detail["input"])
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return one_of(f"is {detail['input']!r}", str(detail["input"]), allowed)
    if kind == "value_error":
        return f"is not valid: {context['error']}"
    if kind == "string_too_long":
        return f"is longer than {context['max_length']} characters"
    return f"is {detail['input']!r}: {detail['msg'].removeprefix('Input ')}"


def _pattern_sentence(pattern: str, given: object) -> str:
    """What a text must look like; every pattern of a form is one of these."""
    if pattern.startswith("^http"):
        return f"is {given!r}: must begin with http:// or https:// and hold no spaces"
    if pattern.endswith("://"):
        return f"is {given!r}: must be a URL, as in scheme://host"
    if pattern.startswith("^(file|env|"):  # what was given may be the secret itself
        return (
            "must tell where the secret is found, as file:/run/secrets/NAME or env:NAME on hosts, "
            "kubernetes:SECRET/KEY in a cluster; "
            "its value does not belong in a definition"
        )
    if pattern.startswith("^[A-Za-z_]"):
        return f"is {given!r}: the name of a variable has letters, digits and '_', and does not start with a digit"
    if pattern.startswith(r"^\d"):
        return f"is {given!r}: must be an amount of bytes, as in 512Mi or 4Gi"
    return "may contain letters, digits, '.', '_' and '-' only, and starts with a letter or digit"
