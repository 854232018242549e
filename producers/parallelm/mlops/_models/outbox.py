"""The outbox: published models on local disk, until the platform has them.

``publish_model`` copies into it and returns. An entry appears and disappears by one rename, so a process that dies at any
moment leaves either a complete entry or remnants that the next ``init()`` removes. A process that works on an entry holds
its lock, which the system releases when the process dies.

    <folder>/<model id>.lock         held by the process that works on the entry
    <folder>/<model id>.partial/     being written, or being removed
    <folder>/<model id>/             complete: manifest.json and the artifact
    <folder>/<model id>.….refused/   set aside: the store has another artifact of this model
    <folder>.published               ids of all that the platform has got from here, one a line

A model is published once. Its id is refused by the process that published it, as long as it is in the outbox, and once it
is in the file of published ids. The artifact store never overwrites (``create_only``).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.mlops._delivery.file_lock import LOCK, FileLock, remove_unused
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.packer import pack_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_log = logging.getLogger("parallelm.mlops")

_MANIFEST = "manifest.json"
_ARTIFACT = "artifact"
"""A fixed name: the user's file could be named like the manifest."""
_PARTIAL = ".partial"
_REFUSED = ".refused"
_CHUNK_BYTES = 1 << 20
_MODEL_ID = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,128}(?<!\.partial)(?<!\.lock)(?<!\.refused)")

_published_here: set[str] = set()
"""Ids of the models that this process has published, in any mode."""


class ModelToPublish(NamedTuple):
    """The checked arguments of ``publish_model``."""

    path: Path
    model_id: str
    name: str
    format: str
    description: str
    is_directory: bool
    annotations: Mapping[str, Any]
    owner: str
    train_version: str
    model_version: str
    time_ns: int


class OutboxEntry(NamedTuple):
    """One model in the outbox; its lock is held."""

    folder: Path
    manifest: Mapping[str, Any]
    lock: FileLock

    @property
    def artifact(self) -> Path:
        """The file to upload."""
        return self.folder / _ARTIFACT


class Outbox:
    """A folder of published models, shared by all components of a user on a host."""

    def __init__(self, folder: Path, destination: str, signing_key: str = "") -> None:
        self._folder = folder
        self._signing_key = signing_key
        self._destination = destination
        """The platform that its models go to: entries for others are left alone."""

    def put(self, model: ModelToPublish, origin: Mapping[str, str]) -> OutboxEntry:
        """Copy a model into the outbox.

        Raises ``MLOpsException`` if it was published before, cannot be read, or the disk is full.
        """
        if not _MODEL_ID.fullmatch(model.model_id):
            raise MLOpsException(
                f"{model.model_id!r} is not a model's id: letters, digits, '.', '_' and '-' only"
            )
        final = self._folder / model.model_id
        partial = self._folder / f"{model.model_id}{_PARTIAL}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / f"{model.model_id}{LOCK}")
            if not lock.acquire():
                raise _published_already(model.model_id)
            if final.exists() or self._was_published(model.model_id):
                lock.release(remove=not final.exists())
                raise _published_already(model.model_id)
            try:
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                manifest = self._fill(partial, model, origin)
                partial.rename(final)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                lock.release(remove=True)
                raise
        except OSError as error:
            raise MLOpsException(
                f"model {str(model.path)!r} cannot be copied to {self._folder}: {error}"
            ) from error
        _published_here.add(model.model_id)
        return OutboxEntry(final, manifest, lock)

    def left_behind(self) -> list[OutboxEntry]:
        """Entries of processes that are gone, now locked by this one, in the order of their publication.

        Remnants of interrupted copies are removed.
        """
        found, others = [], []
        for folder in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if not folder.is_dir() or folder.name.endswith(_REFUSED):
                continue
            lock = FileLock(self._folder / f"{folder.name.removesuffix(_PARTIAL)}{LOCK}")
            if not lock.acquire():
                continue
            if folder.name.endswith(_PARTIAL):
                shutil.rmtree(folder, ignore_errors=True)
                lock.release(remove=True)
                continue
            manifest = _read_manifest(folder)
            if manifest is not None and manifest["destination"] == self._destination:
                found.append(OutboxEntry(folder, manifest, lock))
            else:
                others += [manifest] if manifest is not None else []
                lock.release()
        if others:
            _log.warning(
                "the outbox %s holds models for another topic prefix or artifact store, which are left there: %s",
                self._folder,
                ", ".join(
                    f"{(one['name'] or one['model_id'])!r} for {one['destination']!r}" for one in others
                ),
            )
        remove_unused(self._folder, self._is_there)
        return sorted(found, key=lambda entry: entry.manifest["published_ns"])

    def remember(self, entry: OutboxEntry) -> None:
        """Record that the platform has it, for all processes that use this outbox; raises ``OSError``."""
        descriptor = os.open(self._ids, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{entry.manifest['model_id']}\n".encode("ascii"))
        finally:
            os.close(descriptor)

    def set_aside(self, entry: OutboxEntry) -> Path:
        """Move it aside, where it is not tried again; returns its new folder. Raises ``OSError``."""
        aside = entry.folder.with_name(f"{entry.folder.name}.{entry.manifest['sha256'][:12]}{_REFUSED}")
        shutil.rmtree(aside, ignore_errors=True)  # the same bytes, refused before
        entry.folder.rename(aside)
        entry.lock.release(remove=True)
        return aside

    def remove(self, entry: OutboxEntry) -> None:
        """Remove the entry, since the platform has it."""
        partial = entry.folder.with_name(f"{entry.folder.name}{_PARTIAL}")
        entry.folder.rename(partial)
        shutil.rmtree(partial, ignore_errors=True)
        entry.lock.release(remove=True)

    @property
    def _ids(self) -> Path:
        return self._folder.with_name(f"{self._folder.name}.published")

    def _is_there(self, model_id: str) -> bool:
        return any((self._folder / f"{model_id}{suffix}").exists() for suffix in ("", _PARTIAL))

    def _was_published(self, model_id: str) -> bool:
        if model_id in _published_here:
            return True
        try:
            return model_id in self._ids.read_text(encoding="ascii", errors="replace").split()
        except OSError:
            return False

    def _fill(self, folder: Path, model: ModelToPublish, origin: Mapping[str, str]) -> dict[str, Any]:
        file_name = f"{model.path.name}.tar.gz" if model.is_directory else model.path.name
        artifact = folder / _ARTIFACT
        if model.is_directory:
            pack_directory(model.path, artifact)
        elif model.path.is_file():
            shutil.copyfile(model.path, artifact)
        else:  # reading a device may never end, and a fifo may have no writer
            raise MLOpsException(
                f"{str(model.path)!r} is neither a file nor a folder: it cannot be published"
            )
        size_bytes, sha256 = measure(artifact)
        manifest = {
            "destination": self._destination,
            "origin": dict(origin),
            "published_ns": _publication_clock.now_ns(),
            "event_time_ms": model.time_ns // 1_000_000,
            "model_id": model.model_id,
            "name": model.name,
            "format": model.format,
            "description": model.description,
            "file_name": file_name,
            "is_directory": model.is_directory,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "annotations": {key: json.dumps(value) for key, value in model.annotations.items()},
            "owner": model.owner,
            "train_version": model.train_version,
            "model_version": model.model_version,
        }
        manifest["signature"] = _signed(manifest, self._signing_key)
        with (folder / _MANIFEST).open("w", encoding="utf-8") as file:
            json.dump(manifest, file)
            file.flush()
            os.fsync(file.fileno())
        return manifest


def _signed(manifest: Mapping[str, Any], signing_key: str) -> str:
    """Signature of a model; empty without a key. Raises ``MLOpsException``."""
    if not signing_key:
        return ""
    from parallelm.schemas.errors import SignatureError
    from parallelm.schemas.model_signatures import sign, signed_row

    try:
        return sign(signing_key, signed_row(manifest, manifest["origin"].get("mlapp_id", "")))
    except SignatureError as error:
        raise MLOpsException(f"model {manifest['model_id']!r} cannot be signed: {error}") from error


def _published_already(model_id: str) -> MLOpsException:
    return MLOpsException(
        f"model {model_id!r} was published already, and a published model never changes: make a new Model for each version"
    )


class _PublicationClock:
    """The system's clock, made strictly increasing, so that it orders the models of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ns = 0

    def now_ns(self) -> int:
        """A time later than all before."""
        with self._lock:
            self._last_ns = max(time.time_ns(), self._last_ns + 1)
            return self._last_ns


_publication_clock = _PublicationClock()


def measure(file: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256, hexadecimal."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    try:
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if manifest.get("model_id") == folder.name and "published_ns" in manifest else None
