"""Packs directories as tar.gz files and unpacks them; used for models that are directories.

An archive holds plain files and folders only: links are followed when it is written, so that it is complete on another
host. Anything else is refused when packing, not when unpacking.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import guarded, refusing

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ENTRIES: Final = 1_000_000
"""Nested links to folders can make the contents of a small folder arbitrarily large."""


@refusing
class DirectoryPack:
    """Packs directories into ``temp_folder`` (by default the system's)."""

    def __init__(self, temp_folder: str | Path | None = None) -> None:
        self._temp_folder = _folder(temp_folder, "temp_folder")

    def pack(self, directory: str | Path) -> str:
        """Path of a new tar.gz with ``directory`` under its own name; the caller removes it.

        Links are followed. Raises ``MLOpsException`` if ``directory`` is not a directory, for dangling links and links in a
        circle, for fifos, sockets and devices, and for anything that cannot be read or written.
        """
        source = _path(directory)
        if not source.is_dir():
            raise MLOpsException(f"{str(directory)!r} is not a directory")
        name = source.name if source.name not in {"", ".."} else source.resolve().name
        try:
            with tempfile.NamedTemporaryFile(
                prefix=f"{name[:100]}-", suffix=".tar.gz", dir=self._temp_folder, delete=False
            ) as file:
                pass
        except (OSError, ValueError) as error:
            raise MLOpsException(
                f"an archive cannot be written to {str(self._temp_folder)!r}: {error}"
            ) from error
        archive = Path(file.name)
        try:
            pack_directory(source, archive, name or ".")
        except BaseException as error:
            archive.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise MLOpsException(f"{str(directory)!r} cannot be packed: {error}") from error
            raise
        return file.name

    def unpack(self, archive: str | Path, destination: str | Path) -> None:
        """Extract into ``destination``, which is created if missing: ``<destination>/<name>/…``.

        Raises ``MLOpsException`` if ``archive`` is not an archive, and for members that would leave the destination, are
        devices, or link to outside; these are not written.
        """
        source, target = _path(archive), _path(destination)
        try:
            target.mkdir(parents=True, exist_ok=True)
            with tarfile.open(source) as tar:
                members = tar.getmembers()
                _check_members(members, target)
                tar.extractall(target, members=members, filter="data")
        except tarfile.FilterError as error:
            raise MLOpsException(f"{str(archive)!r} is refused: {error}") from error
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            raise MLOpsException(f"{str(archive)!r} cannot be unpacked: {error}") from error


@guarded
def _folder(path: str | Path | None, what: str) -> Path:  # noqa: ARG001 - for the message
    return Path(path) if path else Path(tempfile.gettempdir())


def pack_directory(source: Path, archive: Path, name: str = ".") -> None:
    """Write ``source`` as a tar.gz, as ``name`` in it; raises ``MLOpsException`` as ``pack`` does, and ``OSError``."""
    entries = list(_entries(source, archive, name))
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for entry in entries:
            _add(tar, entry)


class _Entry(NamedTuple):
    path: Path
    name: str


def _entries(source: Path, archive: Path, name: str) -> Iterator[_Entry]:
    """All entries of the archive except the archive itself, checked before anything is written."""
    waiting = [(_Entry(source, name), frozenset[tuple[int, int]]())]
    for count in range(MAX_ENTRIES):
        if not waiting:
            return
        entry, above = waiting.pop()
        status = _status(entry.path)
        identity = status.st_dev, status.st_ino
        if stat.S_ISDIR(status.st_mode):
            if identity in above or (count and entry.path.is_symlink() and _holds(entry.path, source)):
                raise MLOpsException(f"{str(entry.path)!r} leads back to a folder that contains it")
            inside = sorted(entry.path.iterdir(), reverse=True)
            waiting += [(_Entry(path, f"{entry.name}/{path.name}"), above | {identity}) for path in inside]
        elif not stat.S_ISREG(status.st_mode):
            raise MLOpsException(f"{str(entry.path)!r} is neither a file nor a folder: it cannot be packed")
        elif count and _is(archive, identity):
            continue
        yield entry
    raise MLOpsException(
        f"{str(source)!r} holds more than {MAX_ENTRIES} files and folders, with those that links lead to"
    )


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        if path.is_symlink():
            raise MLOpsException(
                f"the link {str(path)!r} leads to {os.readlink(path)!r}, which cannot be packed: {error.strerror}"  # noqa: PTH115
            ) from error
        raise


def _holds(folder: Path, source: Path) -> bool:
    return source.resolve().is_relative_to(folder.resolve())


def _is(file: Path, identity: tuple[int, int]) -> bool:
    with contextlib.suppress(OSError):
        status = file.stat()
        return (status.st_dev, status.st_ino) == identity
    return False


def _add(tar: tarfile.TarFile, entry: _Entry) -> None:
    """Store a file's or folder's content, mode and time, but not its owner."""
    if entry.path.is_dir():
        tar.addfile(_member(entry.name, tarfile.DIRTYPE, entry.path.stat()))
        return
    with entry.path.open("rb") as content:
        status = os.fstat(content.fileno())
        member = _member(entry.name, tarfile.REGTYPE, status)
        member.size = status.st_size
        tar.addfile(member, content)


def _member(name: str, kind: bytes, status: os.stat_result) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, stat.S_IMODE(status.st_mode), int(status.st_mtime)
    return member


def _check_members(members: list[tarfile.TarInfo], target: Path) -> None:
    """Raise ``tarfile.FilterError`` for a member that would leave ``target``, also through another member that is a link."""
    links = {os.path.normpath(member.name) for member in members if member.issym()}
    for member in members:
        tarfile.data_filter(member, str(target))
        parts = Path(os.path.normpath(member.name)).parents
        if any(str(parent) in links for parent in parts):
            raise tarfile.OutsideDestinationError(member, f"{member.name!r}, through a link")


def _path(given: object) -> Path:
    if not isinstance(given, (str, os.PathLike)):
        raise MLOpsException(f"a path must be a text or a Path, not {type(given).__name__}")
    return Path(given)
