"""MLApp folders of the original platform: take one over, and write one."""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelm.connections.artifacts import filesystem, store_error
from parallelm.definitions.components import Component, read_component, unpack
from parallelm.definitions.components.packing import FILE_NAME
from parallelm.definitions.errors import ComponentFolderError, DefinitionError
from parallelm.definitions.original import (
    ModelPath,
    Note,
    Notes,
    component_from_original,
    component_to_original,
    mlapp_from_original,
    mlapp_id_of,
    mlapp_to_original,
)
from parallelm.definitions.records import components_of
from parallelm.definitions.schedules import check_timezone
from parallelm.definitions.written_yaml import yaml_text
from parallelm.operations.definitions import get_definition, validate_definition
from parallelm.operations.errors import ArtifactStoreError, InvalidFileError
from parallelm.operations.original_models import MODELS, upload_options, write_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.connections import Settings
    from parallelm.connections.settings import ArtifactSettings
    from parallelm.definitions.components import ComponentForm
    from parallelm.definitions.run_spec import ComponentSpec

MLAPP_JSON, COMPONENT_JSON = "mlapp.json", "component.json"
_COMPONENTS = "components"
_LEFT_OUT = ("__pycache__", "*.pyc", ".git", ".venv")


@dataclass(frozen=True, slots=True)
class Imported:
    """An MLApp that was taken over."""

    file: Path
    notes: Sequence[Note]
    mistakes: str
    """What the new file still lacks before it can be applied; empty when nothing."""


def import_folder(folder: Path, target: Path | None = None, *, timezone: str = "UTC") -> Imported:
    """Write an MLApp file with its components into ``target``, a new folder; default: one called as the MLApp.

    Raises ``InvalidFileError`` when the folder is none of the original's, or the target exists.
    """
    try:
        check_timezone(timezone)
    except ValueError as error:
        raise InvalidFileError(str(error)) from error
    raw = _document(folder / MLAPP_JSON)
    notes = Notes(MLAPP_JSON)
    folders = dict(_component_folders(folder / _COMPONENTS))
    named = {name: document for name, (_, document) in folders.items()}
    target = target or Path(mlapp_id_of(raw))
    wanted = mlapp_from_original(
        raw,
        lambda path: _pipeline(folder, path, notes),
        named,
        notes,
        timezone=timezone,
        model_at=lambda path: _model(folder, path, target),
    )
    if target.exists():
        raise InvalidFileError(f"{target} exists already: name another folder, or remove it")
    file = target / f"{wanted['mlapp']}.yaml"
    target.mkdir(parents=True)
    file.write_text(yaml_text(wanted), encoding="utf-8")
    for source, document in dict(folders.values()).items():
        of_component = notes.of(str(source.relative_to(folder) / COMPONENT_JSON))
        _take_component(source, document, target / _COMPONENTS, of_component)
    if (folder / MODELS).is_dir():
        shutil.copytree(folder / MODELS, target / MODELS, symlinks=True)
    return Imported(file, notes.found, _mistakes_of(file))


def _mistakes_of(file: Path) -> str:
    try:
        validate_definition(file.read_bytes(), str(file), components=file.absolute().parent / _COMPONENTS)
    except InvalidFileError as error:
        return str(error)
    return ""


def _document(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidFileError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidFileError(f"{file} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidFileError(f"{file} holds no mapping but a {type(found).__name__}")
    return found


def _pipeline(folder: Path, path: str, notes: Notes) -> dict[str, Any]:
    for candidate in (folder / path, folder / "pipelines" / path, folder / "pipelines" / f"{path}.json"):
        if candidate.is_file() and candidate.resolve().is_relative_to(folder.resolve()):
            return _document(candidate)
    notes.of(path).add("", f"there is no such pipeline in {folder}: the node has no steps")
    return {}


def _model(folder: Path, path: str, target: Path) -> ModelPath | None:
    """Where ``target`` will have the model; None when ``models`` has none of that path."""
    models = (folder / MODELS).resolve()
    for candidate in (folder / path, models / path):
        found = candidate.resolve()
        if found.exists() and found != models and found.is_relative_to(models):
            place = target / MODELS / found.relative_to(models)
            return ModelPath(place, found.is_dir(), "" if found.is_dir() else upload_options(found))
    return None


def _component_folders(folder: Path) -> Iterator[tuple[str, tuple[Path, dict[str, Any]]]]:
    """Folders and documents of components by their names, and by those of their folders."""
    for file in sorted(folder.glob(f"**/{COMPONENT_JSON}")):
        document = _document(file)
        name = str(document.get("name") or file.parent.name)
        document["name"] = name
        yield file.parent.name, (file.parent, document)
        yield name, (file.parent, document)


def _take_component(source: Path, document: Mapping[str, Any], target: Path, notes: Notes) -> None:
    wanted = component_from_original(document, notes)
    folder = target / wanted["name"]
    if folder.exists():
        notes.add("name", f"there are two components {document['name']!r}: this one is left out")
        return
    ignore = shutil.ignore_patterns(*_LEFT_OUT, COMPONENT_JSON)
    shutil.copytree(source, folder, symlinks=True, ignore=ignore)
    (folder / FILE_NAME).write_text(yaml_text(wanted), encoding="utf-8")
    program = (folder / wanted.get("program", "")).resolve()
    is_inside = program.is_relative_to(folder.resolve()) and program.is_file()
    if is_inside and not wanted.get("interpreter") and program.suffix != ".py":
        program.chmod(program.stat().st_mode | stat.S_IXUSR)


def export_mlapp(
    settings: Settings, mlapp_id: str, folder: Path, *, with_models: bool = False
) -> Sequence[Note]:
    """Write the definition in force into ``folder``, a new one, as the original's files; what is not in them is returned.

    ``with_models`` writes the models that nodes have, too. Raises ``UnknownMLAppError``, ``ArtifactStoreError``,
    ``InvalidFileError`` when the folder exists.
    """
    if folder.exists():
        raise InvalidFileError(f"{folder} exists already: name another folder, or remove it")
    definition = get_definition(settings, mlapp_id)
    notes = Notes(mlapp_id)
    found = mlapp_to_original(definition, notes)
    folder.mkdir(parents=True)
    if with_models:
        write_models(settings, definition, found.mlapp["nodes"], folder, notes)
    _write(folder / MLAPP_JSON, found.mlapp)
    for path, pipeline in found.pipelines.items():
        _write(folder / path, pipeline)
    for name, command in found.commands.items():
        target = folder / _COMPONENTS / name
        _write_component(target, command.form, found.node_types[name], notes)
        program = target / command.form.program
        program.write_text(command.script, encoding="utf-8")
        program.chmod(0o755)
    for name, spec in components_of(definition).items():
        target = folder / _COMPONENTS / name
        component = _fetch(settings.artifacts, spec, target)
        (target / FILE_NAME).unlink()
        _write_component(target, component.form, found.node_types[name], notes)
    return notes.found


def _write_component(folder: Path, form: ComponentForm, node_type: str, notes: Notes) -> None:
    of_component = notes.of(f"{_COMPONENTS}/{form.name}/{FILE_NAME}")
    _write(folder / COMPONENT_JSON, component_to_original(form, node_type, of_component))


def _write(file: Path, document: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _fetch(artifacts: ArtifactSettings, spec: ComponentSpec, target: Path) -> Component:
    with tempfile.TemporaryDirectory() as temporary:
        archive = Path(temporary) / "component.tar"
        try:
            store, path = filesystem(artifacts, spec.artifact_url)
            store.get_file(path, str(archive))
            unpack(archive, target)
            return read_component(target)
        except (ComponentFolderError, DefinitionError) as error:
            raise ArtifactStoreError(
                f"{spec.artifact_url} does not hold component {spec.name!r}: {error}"
            ) from error
        except Exception as error:  # noqa: BLE001 - stores of many kinds raise as they like
            reason = store_error(artifacts, error)
            raise ArtifactStoreError(
                f"the artifact store gives no component {spec.name!r}: {reason}"
            ) from None
