"""Writes the tar of a capture as a stream, and notes size, rows and SHA-256 of each member for the manifest."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from parallelm.schemas.captures import ManifestMember

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK_BYTES = 1 << 20


class HashingFile:
    """A file that is written, its size and its SHA-256."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        """Write on."""
        self._file.write(data)
        self._digest.update(data)
        self.size_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """Where it is."""
        return self.size_bytes

    @property
    def sha256(self) -> str:
        """Of what was written."""
        return self._digest.hexdigest()


class CaptureWriter:
    """Adds members to a capture. A member waits in a temporary file until its size is known."""

    def __init__(self, out: HashingFile, alive: Callable[[], None]) -> None:
        """``alive`` is called often; what it raises ends the writing."""
        # It appends, and asks where it is; nothing is buffered that would be written when a failed one is collected.
        self._tar = tarfile.TarFile(fileobj=cast("IO[bytes]", out), mode="w", format=tarfile.PAX_FORMAT)
        self._alive = alive
        self._modified_s = time.time()
        self.members: list[ManifestMember] = []

    def add(self, name: str, data: bytes, rows: int = 0) -> None:
        """Add a small member."""
        self._add(name, io.BytesIO(data), len(data), rows)

    @contextmanager
    def member(self, name: str) -> Iterator[Member]:
        """A file to write; it becomes a member when the block ends."""
        with tempfile.TemporaryFile(prefix="mcenter-capture-") as file:
            open_member = Member(file)
            yield open_member
            size = file.tell()
            file.seek(0)
            self._add(name, file, size, open_member.rows)

    def add_unlisted(self, name: str, data: bytes) -> None:
        """Add a member that the manifest does not list: the manifest itself."""
        self._add(name, io.BytesIO(data), len(data), 0)
        self.members.pop()

    def close(self) -> None:
        """Write the end of the tar."""
        self._tar.close()

    def _add(self, name: str, file: IO[bytes], size: int, rows: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, int(self._modified_s), 0o644
        reader = _HashingReader(file, self._alive)
        self._tar.addfile(info, cast("IO[bytes]", reader))
        self.members.append(
            ManifestMember(name=name, size_bytes=size, sha256=reader.digest.hexdigest(), rows=rows)
        )


class Member:
    """A member that is being written."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.rows = 0

    def write(self, data: bytes, rows: int = 0) -> None:
        """Write on; ``rows`` are counted."""
        self.file.write(data)
        self.rows += rows


class _HashingReader:
    def __init__(self, file: IO[bytes], alive: Callable[[], None]) -> None:
        self._file = file
        self._alive = alive
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        self._alive()
        data = self._file.read(size)
        self.digest.update(data)
        return data
