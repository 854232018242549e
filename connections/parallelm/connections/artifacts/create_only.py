"""Uploads artifacts to the store without ever overwriting one: an announced artifact never changes."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import inspect
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelm.connections.artifacts.renames import rename_to_free

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK_BYTES = 1 << 20


class ArtifactExistsError(Exception):
    """The store has other bytes under this URL: a model with this id was published before."""


def put_new(store: Any, path: str, file: Path, manifest: Mapping[str, Any]) -> None:
    """Upload ``file`` to ``path`` of an fsspec file system, unless something exists there.

    Interrupted uploads are not visible at ``path``, so whatever exists there is complete. If it has the same bytes, an
    earlier attempt succeeded and nothing is done; otherwise ``ArtifactExistsError`` is raised and nothing is written.
    Exceptions of the store itself mean that the upload may be tried again.
    """
    if _is_there(store, path):
        _check_same(store, path, manifest)
        return
    store.makedirs(path.rpartition("/")[0], exist_ok=True)
    try:
        if getattr(store, "async_impl", False):
            _put_object(store, path, file)
        else:
            _put_and_rename(store, path, file)
    except FileExistsError:
        _check_same(store, path, manifest)


def _is_there(store: Any, path: str) -> bool:
    """Not ``store.exists``, which answers False when the store cannot be reached."""
    try:
        store.info(path)
    except (FileNotFoundError, NotImplementedError):
        return False
    return True


def _put_object(store: Any, path: str, file: Path) -> None:
    """Object stores show complete objects only. A conditional write is used where the store supports it."""
    takes = inspect.signature(getattr(type(store), "_put_file", store.put_file)).parameters
    if "mode" not in takes:
        store.put_file(str(file), path)
        return
    try:
        store.put_file(str(file), path, mode="create")
    except FileExistsError:
        raise
    except Exception as error:
        if "implement" not in str(error):  # some stores that speak S3's protocol lack conditional writes
            raise
        store.put_file(str(file), path)


def _put_and_rename(store: Any, path: str, file: Path) -> None:
    """File stores show files while they are written, so write under another name and rename."""
    part = f"{path}.{uuid.uuid4().hex[:12]}.part"
    try:
        store.put_file(str(file), part)
        if "file" in _protocols(store):
            rename_to_free(Path(part), Path(path))
            for left in Path(path).parent.glob(f"{glob.escape(Path(path).name)}.????????????.part"):
                left.unlink(missing_ok=True)  # left by killed uploads
        elif _is_there(store, path):
            raise FileExistsError(path)
        else:
            store.mv(part, path)
    finally:
        with contextlib.suppress(Exception):
            if _is_there(store, part):
                store.rm_file(part)


def _check_same(store: Any, path: str, manifest: Mapping[str, Any]) -> None:
    digest, size = hashlib.sha256(), 0
    with store.open(path, "rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    if (size, digest.hexdigest()) != (manifest["size_bytes"], manifest["sha256"]):
        raise ArtifactExistsError(
            f"the artifact store has another artifact of model {manifest['model_id']!r} already, which is left as it "
            "is: make a new Model for each one that is published"
        )


def _protocols(store: Any) -> tuple[str, ...]:
    return (store.protocol,) if isinstance(store.protocol, str) else tuple(store.protocol)
