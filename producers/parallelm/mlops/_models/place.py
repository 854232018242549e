"""The destination of a download: checked before anything is fetched, then replaced atomically."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import stat
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.connections.artifacts.renames import exchange, rename_to_free
from parallelm.mlops._delivery.file_lock import FileLock
from parallelm.mlops._models.former_downloads import FormerDownloads
from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_PREFIX = 100
_ATTEMPTS = 100
"""How often the path may change during a download before it gives up."""


class Place:
    """The path of a file or folder to write.

    During a download there is a working folder beside the path, ``.<name>.<random>.part``. If the download is killed, the
    next one to the same path removes that folder.
    """

    def __init__(self, filepath: str | os.PathLike[str], *, is_folder: bool) -> None:
        self._given = _text(filepath)
        name = Path(self._given).name
        if name in {"", ".."}:
            raise self._refusal("it must name a file or folder below another folder")
        if not is_folder and self._given.endswith(("/", os.sep)):
            raise self._refusal("it names a folder, and the model is a file")
        self.path = Path(self._given).absolute()
        self._is_folder = is_folder
        self._former = FormerDownloads(self.path)
        self._kept: str | None = None

    def check(self) -> None:
        """Raise ``MLOpsException`` if something at the path must not be replaced, or the path cannot be written."""
        if os.path.lexists(self.path):
            self._check(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def working_folder(self) -> Iterator[Path]:
        """A new folder on the path's file system, removed with its contents at the end."""
        prefix = f".{self.path.name[:_LONGEST_PREFIX]}."
        self._clear_left_behind(prefix)
        folder, lock = self._locked_folder(prefix)
        try:
            yield folder
        finally:
            if self._kept is None:
                shutil.rmtree(folder, ignore_errors=True)
            lock.release()

    def _locked_folder(self, prefix: str) -> tuple[Path, FileLock]:
        for _ in range(_ATTEMPTS):
            folder = self.path.with_name(f"{prefix}{uuid.uuid4().hex[:12]}.part")
            folder.mkdir()
            lock = FileLock(folder / "lock")
            with contextlib.suppress(FileNotFoundError):
                lock.acquire()  # fails on file systems without locks, where no other process can remove the folder either
            if (
                folder / "lock"
            ).exists():  # no other process has removed it as a leftover before it was locked
                return folder, lock
            lock.release()
        raise self._refusal("another process keeps removing its working folder")

    def put(self, ready: Path, mark: str) -> None:
        """Move ``ready`` from the working folder to the path. Readers see either the old content or all of the new."""
        self._former.add(mark)
        _write_through(ready)
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(
                FileExistsError, FileNotFoundError
            ):  # something was created or removed meanwhile
                if os.path.lexists(self.path):
                    self._check(self.path)
                    self._replace(ready)
                else:
                    rename_to_free(ready, self.path)
                _write_through(self.path.parent, deep=False)
                return
        raise self._refusal("another process keeps writing to it")

    def _replace(self, ready: Path) -> None:
        if self.path.is_dir() == self._is_folder:
            shutil.copymode(self.path, ready)
        if exchange(ready, self.path):
            try:
                self._check(ready)  # after the swap: the former content of the path
            except MLOpsException:
                self._kept = str(ready)
                exchange(ready, self.path)
                self._kept = None
                raise
        elif self._is_folder or self.path.is_dir():
            former = ready.with_name("former")
            self.path.rename(former)
            try:
                ready.rename(self.path)
            except OSError:
                former.rename(self.path)
                raise
        else:
            ready.replace(self.path)

    def _check(self, found: Path) -> None:
        """Raise ``MLOpsException`` if ``found``, the present or former content of the path, must not be removed."""
        mode = found.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise self._refusal("it is a symbolic link; name its target instead")
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise self._refusal("it is neither a file nor a folder")
        if stat.S_ISDIR(mode) and any(found.samefile(own) for own in _folders_in_use()):
            raise self._refusal("it is the working directory or the home directory")
        try:
            is_empty = not any(found.iterdir()) if stat.S_ISDIR(mode) else not found.stat().st_size
            if (is_empty and stat.S_ISDIR(mode) == self._is_folder) or self._former.holds(found):
                return
        except OSError as error:
            raise self._refusal(f"its content cannot be read, so it is left alone: {error}") from error
        if stat.S_ISDIR(mode):
            example = next((str(path.name) for path in found.iterdir()), "")
            content = f" with {example!r} in it" if example else ""
            raise self._refusal(
                f"there is a folder{content} that was not downloaded there, or has been changed since"
            )
        raise self._refusal("there is a file that was not downloaded there, or has been changed since")

    def _clear_left_behind(self, prefix: str) -> None:
        """Working folders of killed downloads, which no process holds a lock on."""
        for folder in self.path.parent.glob(f"{glob.escape(prefix)}????????????.part"):
            if not (folder / "lock").exists():
                continue
            lock = FileLock(folder / "lock")
            with contextlib.suppress(OSError):
                if not lock.acquire():
                    continue
                if (folder / "former").exists():  # killed between the two renames of _replace
                    with contextlib.suppress(FileExistsError):
                        rename_to_free(folder / "former", self.path)
                shutil.rmtree(folder, ignore_errors=True)
            lock.release()

    def _refusal(self, reason: str) -> MLOpsException:
        return MLOpsException(
            f"no model is downloaded to {self._given!r}: {reason}. Move it away or name another path: a download "
            "replaces only what an earlier one wrote to its path"
        )


def _text(filepath: object) -> str:
    given = os.fspath(filepath) if isinstance(filepath, os.PathLike) else filepath
    if not isinstance(given, str):
        raise MLOpsException(f"a model is downloaded to a text or a Path, not {type(filepath).__name__}")
    if "\0" in given:
        raise MLOpsException(f"{given!r} is not a path: it holds a NUL")
    return given


def _folders_in_use() -> Iterator[Path]:
    for find in (Path.cwd, Path.home):
        with contextlib.suppress(OSError, RuntimeError):  # removed; a container's user without a home
            if (folder := find()).exists():
                yield folder


def _write_through(path: Path, *, deep: bool = True) -> None:
    """Fsync, so that a power cut leaves either the old or the new content."""
    if os.name != "posix":
        return
    if deep and path.is_dir():
        for entry in path.iterdir():
            if not entry.is_symlink():
                _write_through(entry)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # folders of some network file systems
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
