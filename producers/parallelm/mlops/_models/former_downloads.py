"""Which contents of a path ``Model.download`` may replace: empty ones, and those that it wrote there itself.

The file ``.<name>.mcenter-downloads`` beside the path has one line for each content that was ever downloaded to it: a
fingerprint (kind and SHA-256 of all names and contents). It survives the process and moves with the folder. Lines are
only appended, before the content appears, so that every download is recognised even after a crash or beside a second
process. Content that was changed since, or was never downloaded, has another fingerprint and is left alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING

from parallelm.mlops._models.outbox import measure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LONGEST_NAME_BYTES = 255
_FINGERPRINT = re.compile(r"(?:file|folder):[0-9a-f]{64}")


def fingerprint_of_file(sha256: str) -> str:
    """Fingerprint of a file by the SHA-256 of its content."""
    return f"file:{sha256}"


def fingerprint(path: Path) -> str:
    """Fingerprint of the file or folder at ``path``; raises ``OSError``."""
    if not path.is_dir():
        return fingerprint_of_file(measure(path)[1])
    digest = hashlib.sha256()
    for kind, name, content in sorted(_entries(path, "")):
        for part in (kind, name, content):
            encoded = os.fsencode(part)
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return f"folder:{digest.hexdigest()}"


def _entries(folder: Path, prefix: str) -> Iterator[tuple[str, str, str]]:
    """(kind, path relative to the model's folder, content) of everything in a folder."""
    for path in folder.iterdir():
        name, mode = f"{prefix}{path.name}", path.lstat().st_mode
        if stat.S_ISREG(mode):
            yield "file", name, measure(path)[1]
        elif stat.S_ISLNK(mode):
            yield "link", name, str(path.readlink())
        elif not stat.S_ISDIR(mode):
            yield "special", name, ""
        elif not _is_compiled_code(path):
            yield "folder", name, ""
            yield from _entries(path, f"{name}/")


def _is_compiled_code(folder: Path) -> bool:
    """Bytecode that Python writes beside a model's code when it is loaded."""
    return folder.name == "__pycache__" and all(
        path.suffix == ".pyc" and path.is_file() and not path.is_symlink() for path in folder.iterdir()
    )


class FormerDownloads:
    """The record of one path."""

    def __init__(self, path: Path) -> None:
        name = f".{path.name}.mcenter-downloads"
        if len(os.fsencode(name)) > _LONGEST_NAME_BYTES:
            name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}.mcenter-downloads"
        self._record = path.with_name(name)

    def add(self, mark: str) -> None:
        """Note that content with this fingerprint is about to be downloaded; raises ``OSError``."""
        if mark not in self._known():
            # Starts with a newline in case the last line is incomplete; a single write, which other processes cannot split.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            descriptor = os.open(self._record, flags, 0o666)
            try:
                line = f"\n{mark}\n".encode("ascii")
                if os.write(descriptor, line) != len(line):
                    raise OSError(f"{str(self._record)!r} cannot be written: the disk is full")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def holds(self, path: Path) -> bool:
        """Whether the content of ``path`` was downloaded and is unchanged; raises ``OSError``."""
        known = self._known()
        return bool(known) and fingerprint(path) in known

    def _known(self) -> set[str]:
        try:
            lines = self._record.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return set()
        return {line for line in lines if _FINGERPRINT.fullmatch(line)}
