"""The model that a run has: a link in its folder, switched at once from one complete model to the next."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.agent.keeping.files import read_json, replace_json
from parallelm.agent.pipelines.errors import PreparationError
from parallelm.agent.pipelines.variables import MODEL_ID, MODEL_PATH

if TYPE_CHECKING:
    from parallelm.agent.keeping.run_folder import RunFolder
    from parallelm.connections import Settings
    from parallelm.definitions.run_spec import ModelSpec

_LINK = "model"
_DEFAULT_NAME = "model"
_FORMER = "former-model.json"


def download(run: RunFolder, model: ModelSpec, settings: Settings) -> Path:
    """Path of the model's file or folder, complete and with the announced SHA-256. Raises ``PreparationError``."""
    from parallelm.mlops._models.download import check_signature, fetch
    from parallelm.mlops.mlops_exception import MLOpsException
    from parallelm.mlops.models.model import Artifact

    # Ids need be no file names, and the same id may be announced with other bytes.
    name = hashlib.sha256(f"{model.model_id}\0{model.sha256}".encode()).hexdigest()[:32]
    file_name = os.path.basename(model.file_name) or _DEFAULT_NAME  # noqa: PTH119 - no path yet
    if file_name in {".", ".."} or "\0" in file_name:  # not a file of its own, whose SHA-256 could be checked
        raise PreparationError(
            f"model {model.model_id!r} is not used: its file is called {model.file_name!r}; publish it under a name"
        )
    path = run.path / "models" / name / file_name
    what = f"model {model.model_id!r}"
    announced = model.table() | {"mlapp_id": json.loads(run.spec_json())["mlapp_id"]}
    artifact = Artifact(
        model.artifact_url, model.is_directory, model.size_bytes, model.sha256, announced, model.signing_keys
    )
    try:
        if path.exists():
            # It was fetched when other keys were trusted, perhaps.
            check_signature(what, artifact, settings)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        fetch(what, artifact, path, settings)
    except (MLOpsException, OSError) as error:
        raise PreparationError(str(error)) from error
    return path


def switch(run: RunFolder, model_id: str, path: Path) -> None:
    """Have the run's link mean ``path``: whoever opens it has the one model or the other, whole."""
    new = run.path / f".{_LINK}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(os.path.relpath(path, run.path))
    new.replace(run.path / _LINK)
    run.save_variables({MODEL_ID: model_id, MODEL_PATH: str(run.path / _LINK)})


def switch_back(run: RunFolder, model_id: str, path: Path | None) -> None:
    """Have the run its former model again; with None it had none."""
    if path is not None:
        switch(run, model_id, path)
        return
    run.save_variables({})
    (run.path / _LINK).unlink(missing_ok=True)


def current(run: RunFolder) -> tuple[str, Path | None]:
    """Id and path of the model that it has; empty and None when it has none."""
    with contextlib.suppress(OSError):
        return run.variables().get(MODEL_ID, ""), (run.path / _LINK).resolve(strict=True)
    return "", None


def former_of(run: RunFolder, path: Path) -> tuple[str, Path | None]:
    """As ``current`` was before the switch to ``path``, also when the agent ended in the midst of it and asks again."""
    model_id, now = current(run)
    if now != path.resolve():
        replace_json(run.path / _FORMER, {"model_id": model_id, "path": str(now) if now else ""})
        return model_id, now
    former = read_json(run.path / _FORMER) or {"model_id": "", "path": ""}
    return former["model_id"], Path(former["path"]) if former["path"] else None


def delete_others(run: RunFolder) -> None:
    """Delete the models that it no longer has."""
    _, path = current(run)
    if path is None:
        return
    for folder in (run.path / "models").iterdir():
        if folder != path.parent:
            shutil.rmtree(folder, ignore_errors=True)
