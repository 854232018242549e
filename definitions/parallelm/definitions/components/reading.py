"""From a component's folder to its form, or to every mistake in its ``component.yaml`` with its place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from parallelm.definitions.components.arguments import variable_word
from parallelm.definitions.components.form import ComponentForm
from parallelm.definitions.components.packing import FILE_NAME, files_of
from parallelm.definitions.errors import ComponentFolderError, DefinitionError, Problem
from parallelm.definitions.marked_yaml import read_marked
from parallelm.definitions.mistakes import one_of
from parallelm.definitions.sections import SectionReader
from parallelm.definitions.values import IN_WORDS, is_of_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelm.definitions.marked_yaml import Path as YamlPath

_MAX_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class Component:
    """A valid folder."""

    folder: Path
    form: ComponentForm
    files: Sequence[PurePosixPath]
    """What of the folder is packed."""


def read_component(folder: Path) -> Component:
    """The component in ``folder``; raises ``DefinitionError`` with every mistake, ``ComponentFolderError``."""
    file = folder / FILE_NAME
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ComponentFolderError(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise ComponentFolderError(f"{file} is larger than {_MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ComponentFolderError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from error
    return _Reading(read_marked(text, str(file))).result(folder, str(file))


class _Reading(SectionReader):
    """One ``component.yaml``."""

    def result(self, folder: Path, source: str) -> Component:
        raw = self._document.value
        form = self._form(ComponentForm, raw, ())
        raw = raw if isinstance(raw, dict) else {}
        for path, message in _semantic_errors(raw):
            self._add(path, message)
        files: list[PurePosixPath] = []
        if form is not None:
            files = files_of(folder, form.include, form.exclude)
            for path, message in _folder_errors(form, folder, files):
                self._add(path, message)
        if self._problems or form is None:
            raise DefinitionError(source, list(dict.fromkeys(self._problems or [Problem(1, 1, "not valid")])))
        return Component(folder, form, files)


def _semantic_errors(raw: dict[str, Any]) -> Iterator[tuple[YamlPath, str]]:
    ports = {key: found if isinstance(found := raw.get(key), dict) else {} for key in ("inputs", "outputs")}
    arguments = raw.get("arguments")
    for key, argument in arguments.items() if isinstance(arguments, dict) else ():
        if not isinstance(argument, dict):
            continue
        place: YamlPath = ("arguments", key)
        given = [name for name in ("tag", "input", "output") if argument.get(name) is not None]
        if len(given) > 1:
            yield (*place, given[1]), f"{' and '.join(given)}: an argument has one of them at most"
        for name in ("input", "output"):
            port = argument.get(name)
            if isinstance(port, str) and port not in ports[f"{name}s"]:
                known = ports[f"{name}s"] or ["none"]
                yield (*place, name), one_of(f"there is no {name} {port!r}", port, known)
        default, kind = argument.get("default"), str(argument.get("type", "text"))
        if default is not None and kind in IN_WORDS and not is_of_type(kind, default):
            yield (*place, "default"), f"default {default!r} is not of type {kind}"
    for section, names in ports.items():
        words: dict[str, str] = {}
        for name in names:
            word = variable_word(name)
            if word in words:
                yield (section, name), f"{name!r} and {words[word]!r} would share the variable …_{word}"
            words[word] = name


def _folder_errors(
    form: ComponentForm, folder: Path, files: Sequence[PurePosixPath]
) -> Iterator[tuple[YamlPath, str]]:
    if form.name != folder.resolve().name:
        yield (
            ("name",),
            f"the folder is called {folder.resolve().name!r}: pipelines name a component by its folder",
        )
    yield from _missing(("program",), form.program, files)
    program = folder / form.program
    runs_itself = form.interpreter is None and not form.program.endswith(".py")
    if runs_itself and PurePosixPath(form.program) in files and not os.access(program, os.X_OK):
        yield ("program",), f"{form.program} is not executable: run chmod +x on it, or name its interpreter"
    if form.python is not None:
        lock = PurePosixPath(form.python.lock)
        yield from _missing(("python", "lock"), form.python.lock, files)
        if lock.name == "uv.lock" and lock.with_name("pyproject.toml") not in files:
            yield ("python", "lock"), "uv.lock needs its pyproject.toml beside it"
        elif lock.name != "uv.lock" and lock.suffix not in {".txt", ".toml"}:
            yield ("python", "lock"), f"{lock} is neither uv.lock, nor pylock.toml, nor a requirements.txt"
    for at, pattern in enumerate(form.include):
        if pattern != "**" and next(folder.glob(pattern), None) is None:
            yield ("include", at), f"{pattern!r} names no file in {folder}"


def _missing(path: YamlPath, name: str, files: Sequence[PurePosixPath]) -> Iterator[tuple[YamlPath, str]]:
    wanted = PurePosixPath(name)
    if wanted.is_absolute() or ".." in wanted.parts:
        yield path, f"{name!r} must be a path inside the component's folder"
    elif wanted not in files:
        yield (
            path,
            one_of(f"{name!r} is not among the component's files", name, [str(file) for file in files]),
        )
