"""``component.json`` and ``component.yaml``."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from parallelm.definitions.components.form import DEFAULT_EXCLUDE
from parallelm.definitions.components.program import Tag
from parallelm.definitions.original.notes import entries, identifier, is_true
from parallelm.definitions.values import as_text, is_of_type, read_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.definitions.components import ComponentForm
    from parallelm.definitions.original.notes import Notes

_TYPES = {
    "string": "text", "str": "text", "text": "text", "": "text",
    "int": "integer", "integer": "integer", "long": "integer",
    "float": "number", "double": "number", "number": "number",
    "bool": "boolean", "boolean": "boolean",
}  # fmt: skip
_THEIR_TYPES = {"text": "string", "integer": "int", "number": "float", "boolean": "boolean"}
_INTERPRETERS = {"r": "Rscript", "java": "java -jar", "scala": "java -jar"}
_LANGUAGES = {"Rscript": "R", "java": "Java"}
_TAGS = frozenset(Tag.__args__)  # type: ignore[attr-defined]
_BEHAVIOURS = {
    "model_producer": "ModelProducer",
    "model_consumer": "ModelConsumer",
    "model_producer_consumer": "ModelProducerConsumer",
}
_READ = {
    "engineType", "language", "userStandalone", "name", "label", "description", "version", "group", "program",
    "componentClass", "modelBehavior", "useMLOps", "inputInfo", "outputInfo", "arguments", "deps",
    "includeGlobPatterns", "excludeGlobPatterns",
}  # fmt: skip


def component_from_original(raw: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """The content of ``component.yaml``."""
    language = str(raw.get("language") or "Python")
    found: dict[str, Any] = {
        "name": identifier(raw.get("name"), "component"),
        "label": str(raw.get("label") or "") if raw.get("label") != raw.get("name") else "",
        "description": str(raw.get("description") or ""),
        "version": str(raw.get("version") or ""),
        "program": str(raw.get("program") or ""),
        "interpreter": _INTERPRETERS.get(language.lower()),
    }
    _note_program(raw, language, notes)
    found["arguments"] = _arguments(raw, notes)
    for key, theirs in (("inputs", "inputInfo"), ("outputs", "outputInfo")):
        found[key] = _ports(raw, theirs, notes)
        if found[key]:
            variable = f"MCENTER_{key[:-1].upper()}_…"
            notes.add(
                theirs,
                f"files are passed on by path: in {variable}, or in an argument that names the {key[:-1]}",
            )
    for key, theirs in (("include", "includeGlobPatterns"), ("exclude", "excludeGlobPatterns")):
        found[key] = _globs(raw.get(theirs))
    if found["exclude"]:
        found["exclude"] = [*DEFAULT_EXCLUDE, *found["exclude"]]
    notes.unread(dict(raw), _READ)
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}


def _note_program(raw: Mapping[str, Any], language: str, notes: Notes) -> None:
    if not raw.get("program"):
        notes.add("program", "there is none: write a program, and name it in component.yaml")
    if not is_true(raw.get("userStandalone", True)):
        kind = raw.get("componentClass") or "the component"
        notes.add(
            "userStandalone",
            f"the original's engine loaded {kind} as a class: make it a program that takes --name value of each argument",
        )
    if language.lower() not in {"python", *_INTERPRETERS}:
        notes.add(
            "language", f"{language!r} is not known here: name the program's interpreter in component.yaml"
        )
    if (engine := raw.get("engineType") or "Generic") != "Generic":
        notes.add(
            "engineType",
            f"{engine!r} does not start programs here: let the program start what it needs itself",
        )
    if raw.get("group"):
        notes.add("group", f"{raw['group']!r} is not carried over: components are not grouped here")
    if raw.get("deps"):
        listed = ", ".join(map(str, raw["deps"])) if isinstance(raw["deps"], list) else raw["deps"]
        notes.add(
            "deps",
            f"pin {listed} in a requirements.txt or uv.lock, and add python: {{lock: …}} to component.yaml",
        )


def _arguments(raw: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for at, argument in enumerate(entries(raw.get("arguments"))):
        place = f"arguments[{at}]"
        key = identifier(argument.get("key"), f"argument-{at + 1}")
        if key != str(argument.get("key")):
            notes.add(f"{place}.key", f"{argument.get('key')!r} is called {key!r} here")
        theirs = str(argument.get("type") or "").lower()
        if theirs not in _TYPES:
            notes.add(f"{place}.type", f"{argument.get('type')!r} is not known here: it is a text")
        kind = _TYPES.get(theirs, "text")
        tag = argument.get("tag")
        if tag and tag not in _TAGS:
            notes.add(
                f"{place}.tag", f"{tag!r} is not known here: give the argument its value in the pipeline"
            )
        found[key] = {
            "type": kind if kind != "text" else None,
            "label": argument.get("label"),
            "description": argument.get("description"),
            "default": typed(argument.get("defaultValue"), kind, notes, f"{place}.defaultValue"),
            "variable": argument.get("envVar"),
            "optional": is_true(argument.get("optional")) or None,
            "tag": tag if tag in _TAGS else None,
        }
        found[key] = {name: value for name, value in found[key].items() if value not in (None, "")}
        known = {"key", "type", "label", "description", "defaultValue", "envVar", "optional", "tag"}
        notes.unread(argument, known, f"{place}.")
    return found


def argument_types(raw: Mapping[str, Any]) -> dict[str, str]:
    """Our types of a component's arguments by their keys."""
    return {
        str(each.get("key")): _TYPES.get(str(each.get("type") or "").lower(), "text")
        for each in entries(raw.get("arguments"))
    }


def typed(value: Any, kind: str, notes: Notes, place: str) -> Any:
    """A value of the original's file as one of our type; None, and a note, when it is none."""
    if value is None or (value == "" and kind != "text") or is_of_type(kind, value):
        return value
    if kind == "number" and is_of_type("integer", value):
        return value
    try:
        return read_value(kind, json.dumps(value) if isinstance(value, dict | list) else as_text(value))
    except ValueError as error:
        notes.add(place, f"{value!r} {error}: it is left out")
        return None


def _ports(raw: Mapping[str, Any], key: str, notes: Notes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for at, port in enumerate(entries(raw.get(key))):
        name = port_name(port, at)
        found[name] = {part: port[part] for part in ("type", "description") if port.get(part)}
        notes.unread(port, {"label", "type", "description"}, f"{key}[{at}].")
    return found


def port_name(port: Mapping[str, Any], at: int) -> str:
    """What an input or output is called here; one without a label is called by its number, from 0."""
    return str(port.get("label") or f"port-{at}")


def _globs(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else str(value or "").split("|")
    return [part.strip() for part in map(str, parts) if part.strip()]


def component_to_original(form: ComponentForm, node_type: str, notes: Notes) -> dict[str, Any]:
    """The content of ``component.json``; ``node_type`` is that of the node that runs it."""
    interpreter = form.interpreter or ""
    interpreter = interpreter if isinstance(interpreter, str) else shlex.join(interpreter)
    language = next(
        (theirs for ours, theirs in _LANGUAGES.items() if interpreter.split(" ")[0] == ours), "Python"
    )
    if interpreter and interpreter not in _INTERPRETERS.values():
        notes.add("interpreter", f"{interpreter!r} is not carried over: make {form.program} executable")
    if form.python is not None:
        notes.add("python", f"{form.python.lock} is not carried over: list what it names under deps")
    return {
        "engineType": "Generic",
        "language": language,
        "userStandalone": True,
        "name": form.name,
        "label": form.label or form.name,
        "version": form.version,
        "description": form.description,
        "program": form.program,
        "modelBehavior": _BEHAVIOURS.get(node_type, "Auxiliary"),
        "useMLOps": True,
        "inputInfo": _their_ports(form.inputs),
        "outputInfo": _their_ports(form.outputs),
        "arguments": [_their_argument(key, form, notes) for key in form.arguments],
        **_their_globs(form),
    }


def _their_ports(ports: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "label": name,
            "type": port.type,
            "description": port.description,
            "defaultComponent": "",
            "group": "",
        }
        for name, port in ports.items()
    ]


def _their_argument(key: str, form: ComponentForm, notes: Notes) -> dict[str, Any]:
    argument = form.arguments[key]
    found: dict[str, Any] = {
        "key": key,
        "type": _THEIR_TYPES[argument.type],
        "label": argument.label,
        "description": argument.description,
        "optional": argument.optional,
    }
    optional = (("envVar", argument.variable), ("defaultValue", argument.default), ("tag", argument.tag))
    found.update({name: value for name, value in optional if value is not None})
    for port in ("input", "output"):
        if getattr(argument, port):
            notes.add(
                f"arguments.{key}.{port}", "paths of inputs and outputs are not given by arguments there"
            )
    return found


def _their_globs(form: ComponentForm) -> dict[str, str]:
    include = " | ".join(form.include) if form.include != ["**"] else ""
    exclude = " | ".join(each for each in form.exclude if each not in DEFAULT_EXCLUDE)
    return {
        name: value
        for name, value in (("includeGlobPatterns", include), ("excludeGlobPatterns", exclude))
        if value
    }
