"""Models in folders of the original: written by an export, each with what is known of it, which an import reads again.

A model is ``models/ID/FILE``, beside it ``models/ID.json``. Nodes of ``mlapp.json`` name it as their default model.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from parallelm.definitions.node_types import CONSUMERS
from parallelm.definitions.original.notes import identifier
from parallelm.operations.errors import ModelDeletedError, UnknownModelError
from parallelm.operations.model_files import SOURCE, open_model
from parallelm.schemas.well_known import DIRECTORY_FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.definitions.original import Notes
    from parallelm.schemas.records import MLAppDefinition

MODELS = "models"
_OURS = ("model_id", "name", "format", "description", "annotations", "signature", "sha256")


def write_models(
    settings: Settings,
    definition: MLAppDefinition,
    nodes: Mapping[str, dict[str, Any]],
    folder: Path,
    notes: Notes,
) -> None:
    """Write the model that is live on each node, or else its default one, and have ``nodes`` of ``mlapp.json`` name it.

    Raises ``ArtifactStoreError``. That a model is not there any more is noted.
    """
    from parallelm.warehouse.queries import live_models

    mlapp_id = definition.mlapp_id
    live = {
        row["node_id"]: str(row["model_id"])
        for row in live_models(settings, mlapp_id=mlapp_id).to_dict("records")
    }
    for node in definition.nodes:
        theirs = nodes[node.node_id]
        default = theirs.get("defaultModelId", "")
        model_id = live.get(node.node_id) or default
        if node.type not in CONSUMERS or not model_id:
            continue
        place = f"nodes.{node.node_id}.defaultModelId"
        try:
            theirs |= _written(
                settings, mlapp_id, model_id, folder, notes.of(f"{MODELS}/{identifier(model_id)}")
            )
        except (UnknownModelError, ModelDeletedError) as error:
            notes.add(place, f"{error}: it is named, and not written")
            continue
        if model_id != default:
            was = f", no longer {default}" if default else ""
            notes.add(place, f"{model_id} is live on the node: it is the default model there{was}")


def _written(settings: Settings, mlapp_id: str, model_id: str, folder: Path, notes: Notes) -> dict[str, str]:
    """What its node says of the model, once it is written."""
    from parallelm.warehouse.queries import models

    stored = open_model(settings, model_id, mlapp_id)
    (row,) = models(settings, mlapp_id=mlapp_id, model_id=model_id).to_dict("records")
    name = identifier(model_id)
    path = f"{MODELS}/{name}/{identifier(stored.file_name)}"
    file = folder / path
    if not file.exists():
        file.parent.mkdir(parents=True)
        with file.open("xb") as opened:
            opened.writelines(stored.chunks)
        known = json.dumps({key: row[key] for key in _OURS}, indent=2, ensure_ascii=False)
        (folder / MODELS / f"{name}.json").write_text(known + "\n", encoding="utf-8")
        if row["format"] in DIRECTORY_FORMATS:
            notes.add(
                "",
                f"{stored.file_name} is an archive of a directory: unpack it where the original is to use it",
            )
    return {
        "defaultModelId": model_id,
        "defaultModelName": str(row["name"]),
        "defaultModelPath": path,
        "defaultModelFormat": str(row["format"]),
    }


def upload_options(file: Path) -> str:
    """Options of ``mcenter models upload`` that say again what an export knew of this model; empty: nothing is known."""
    beside = file.parent.with_name(f"{file.parent.name}.json")
    try:
        known = json.loads(beside.read_text(encoding="utf-8"))
        said = {"--description": known["description"], "--signature": known["signature"]}
        annotations = {key: value for key, value in known["annotations"].items() if key != SOURCE}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    words = [word for option, value in said.items() if value for word in (option, str(value))]
    words += [word for key, value in annotations.items() for word in ("--annotation", f"{key}={value}")]
    return shlex.join(words)
