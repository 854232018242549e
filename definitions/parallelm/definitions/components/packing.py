"""A component's folder as one tar: the same files give the same bytes, on every host and at any time."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from parallelm.definitions.errors import ComponentFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILE_NAME = "component.yaml"
MAX_BYTES = 256 << 20
"""Of a packed component: data belongs in a store of its own, which the program reads."""
_MAX_FILES = 10_000
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PackedComponent:
    """The tar of a component's folder."""

    file: Path
    sha256: str
    size_bytes: int


def files_of(folder: Path, include: Sequence[str], exclude: Sequence[str]) -> list[PurePosixPath]:
    """Files below ``folder`` that a glob of ``include`` and none of ``exclude`` names, and ``component.yaml``; in order.

    A glob that names a folder names all in it. Raises ``ComponentFolderError``.
    """
    everything = list(_walk(folder))
    if len(everything) > _MAX_FILES:
        raise ComponentFolderError(f"{folder} holds more than {_MAX_FILES} files")
    try:
        wanted, unwanted = (_named(folder, globs) for globs in (include, exclude))
    except (ValueError, NotImplementedError) as error:
        raise ComponentFolderError(f"include and exclude of {folder / FILE_NAME}: {error}") from error
    found = {PurePosixPath(FILE_NAME)}
    for path in everything:
        around = {path, *path.parents}
        if around & wanted and not around & unwanted:
            found.add(path)
    return sorted(found)


@contextmanager
def pack(
    folder: Path, files: Sequence[PurePosixPath], *, max_bytes: int = MAX_BYTES
) -> Iterator[PackedComponent]:
    """The tar, in a file that is there within the block. Raises ``ComponentFolderError``."""
    with NamedTemporaryFile(prefix="mcenter-component-", suffix=".tar") as opened:
        with tarfile.open(fileobj=opened, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in files:
                _add(archive, folder, path, max_bytes - opened.tell())
        opened.flush()
        target = Path(opened.name)
        yield PackedComponent(target, _sha256(target), opened.tell())


def unpack(archive: Path, folder: Path) -> None:
    """Extract a component's tar. Raises ``ComponentFolderError`` for what leaves the folder or is no plain file."""
    try:
        with tarfile.open(archive, mode="r:") as opened:
            # Tars of others have folders as well.
            if any(islice(opened, 2 * _MAX_FILES, None)):
                raise ComponentFolderError(f"{archive.name} holds more than {_MAX_FILES} files")
            opened.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, ValueError, RecursionError) as error:
        raise ComponentFolderError(f"{archive.name} cannot be unpacked: {error}") from error


def _walk(folder: Path) -> Iterator[PurePosixPath]:
    """All files, also links, in no order; folders of what is installed are not entered."""
    for root, folders, names in os.walk(folder):
        inside = Path(root).relative_to(folder)
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in {".venv", ".git"} and name not in links]
        for name in (*names, *links):
            yield PurePosixPath(inside / name)


def _named(folder: Path, globs: Sequence[str]) -> set[PurePosixPath]:
    found: set[PurePosixPath] = set()
    for pattern in globs:
        if ".." in PurePosixPath(pattern).parts:
            raise ValueError(f"{pattern!r} leaves the folder")
        found |= {PurePosixPath(path.relative_to(folder)) for path in folder.glob(pattern)}
    return found


def _add(archive: tarfile.TarFile, folder: Path, path: PurePosixPath, room_bytes: int) -> None:
    source = (folder / path).resolve()
    if not source.is_relative_to(folder.resolve()):
        raise ComponentFolderError(
            f"{folder / path} is a link to {source}, outside the component: copy it in"
        )
    try:
        with open(source, "rb", opener=_at_once) as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ComponentFolderError(f"{folder / path} is no plain file: leave it out by 'exclude'")
            if status.st_size > room_bytes:
                raise ComponentFolderError(
                    f"{folder} is too large with {path}: leave it out by 'exclude' in {FILE_NAME}, and let the program "
                    "read large data from where it is"
                )
            content = opened.read(status.st_size)
    except OSError as error:
        raise ComponentFolderError(f"{folder / path} cannot be read: {error.strerror}") from error
    entry = tarfile.TarInfo(str(path))
    entry.size = len(content)
    entry.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    archive.addfile(entry, io.BytesIO(content))


def _at_once(path: str, flags: int) -> int:
    """Open without waiting for whoever writes to a named pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
