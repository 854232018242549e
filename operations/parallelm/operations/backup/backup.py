"""Back the platform up into a folder, and restore it into an empty one.

Each part is consistent in itself. They are of one moment when the services do not run meanwhile: what the processors decide
between the copy of their state and that of the warehouse they would decide again, under the same ids.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelm.connections.artifacts import filesystem, public_artifacts_url
from parallelm.operations.backup.topics import BACKED_UP, load_topic, require_empty, save_topic
from parallelm.operations.errors import BackupError
from parallelm.warehouse.backup import back_up_database, folder_of_server, restore_database
from parallelm.warehouse.drift import accept, drift

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings

VERSION = 1
_MANIFEST, _MODELS, _WAREHOUSE = "backup.json", "models", "warehouse"


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What was copied."""

    records: dict[str, int]
    """By topic, without prefix."""
    models: int
    """Files of the artifact store."""
    artifacts_url: str
    """URL of the store that was backed up, below which its files were announced."""


def back_up(
    settings: Settings, folder: Path, warehouse: str = "", save_more: Callable[[Path], object] | None = None
) -> BackupReport:
    """Write a backup. ``warehouse`` is a place in ClickHouse's words; empty: ``folder``, which the server must reach.

    ``save_more`` writes what other rooms keep into the folder.

    The manifest is written last: a folder without one holds no whole backup. Raises ``BackupError`` when the folder is not
    empty, and what Kafka's and ClickHouse's clients raise.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty; name a new folder")
    records = {topic.name: save_topic(settings, topic, folder / f"{topic.name}.avro") for topic in BACKED_UP}
    models = _copy_models(settings, folder / _MODELS)
    back_up_database(settings, warehouse or folder_of_server(str(folder / _WAREHOUSE)))
    if save_more is not None:
        save_more(folder)
    artifacts_url = public_artifacts_url(settings.artifacts)
    manifest = {
        "version": VERSION,
        "taken_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "database": settings.clickhouse.database,
        "topic_prefix": settings.kafka.topic_prefix,
        "warehouse_in_folder": not warehouse,
        "as_migrated": not drift(settings),
        "artifacts_url": artifacts_url,
        "records": records,
        "models": models,
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return BackupReport(records, models, artifacts_url)


def restore(settings: Settings, folder: Path, warehouse: str = "") -> BackupReport:
    """Restore a backup into a platform without tables and records. Raises ``BackupError``, ``WarehouseError`` and as above."""
    folder = folder.absolute()
    manifest = _manifest(folder)
    if not warehouse and not manifest["warehouse_in_folder"]:
        raise BackupError(
            f"the warehouse of {folder} was backed up elsewhere; name the place with --warehouse"
        )
    require_empty(settings)
    restore_database(
        settings, warehouse or folder_of_server(str(folder / _WAREHOUSE)), str(manifest["database"])
    )
    if manifest["as_migrated"] and settings.clickhouse.database != manifest["database"]:
        accept(settings, ["all"])  # definitions hold the name of the database
    models = _put_models(settings, folder / _MODELS)
    records = {topic.name: load_topic(settings, topic, folder / f"{topic.name}.avro") for topic in BACKED_UP}
    if records != manifest["records"] or models != manifest["models"]:
        raise BackupError(f"{folder} is not as it was written: {records} and {models} models are in it")
    return BackupReport(records, models, manifest["artifacts_url"])


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / _MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackupError(f"{folder} holds no whole backup: {file.name} cannot be read: {error}") from error
    if manifest.get("version") != VERSION:
        raise BackupError(f"{file} has version {manifest.get('version')!r}, this mcenter knows {VERSION}")
    return manifest


def _copy_models(settings: Settings, target: Path) -> int:
    """Copy every file of the artifact store; the number of them."""
    store, root = filesystem(settings.artifacts)
    target.mkdir()
    names = store.find(root) if store.exists(root) else []
    for name in names:
        copy = target / Path(name).relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with store.open(name, "rb") as source, copy.open("wb") as out:
            shutil.copyfileobj(source, out)
    return len(names)


def _put_models(settings: Settings, source: Path) -> int:
    """The inverse; a file that is there already stays."""
    store, root = filesystem(settings.artifacts)
    files = [path for path in source.rglob("*") if path.is_file()]
    for path in files:
        name = f"{root}/{path.relative_to(source).as_posix()}"
        if store.exists(name):
            continue
        store.makedirs(name.rpartition("/")[0], exist_ok=True)
        with path.open("rb") as copy, store.open(name, "wb") as out:
            shutil.copyfileobj(copy, out)
    return len(files)
