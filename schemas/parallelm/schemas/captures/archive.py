"""Reads a capture's tar as what a stranger has sent: every header is checked before any content is written.

Refused, with the member's name: paths that leave their folder, links, devices and sparse files, names that occur twice,
more members or bytes than the limits allow or than the file can hold, and contents that differ from the manifest.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import re
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Final, Self, cast

from parallelm.schemas.captures.manifest import CaptureManifest, parse_manifest
from parallelm.schemas.captures.names import MANIFEST
from parallelm.schemas.errors import CaptureFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_CHUNK_BYTES: Final = 1 << 20
_BLOCK_BYTES: Final = 512
_COMPRESSIONS: Final[dict[bytes, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_KINDS: Final = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}
_DRIVE: Final = re.compile(r"(^|/)[A-Za-z]:")
_BROKEN: Final = (
    tarfile.TarError,
    EOFError,
    OSError,
    lzma.LZMAError,
    zlib.error,
    ValueError,
    RecursionError,
)
"""``tarfile`` calls itself for each header that is about the next header."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a capture may hold."""

    members: int = 100_000
    total_bytes: int = 256 << 30
    """Of all members together, unpacked."""
    ratio: int = 200
    """Unpacked bytes for each byte of a compressed file, beyond ``free_bytes``."""
    free_bytes: int = 64 << 20
    manifest_bytes: int = 64 << 20


class CaptureArchive:
    """A capture's tar, plain or compressed, whose headers have been checked. Raises ``CaptureFileError`` throughout."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self._path = path
        self._limits = limits or Limits()
        if not path.is_file():
            raise CaptureFileError(f"there is no timeline capture at {str(path)!r}")
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise CaptureFileError(f"{str(path)!r} cannot be read: {error.strerror}") from error
        try:
            self._content = _BoundedReads(_decompressed(self._file))
            self._members = self._checked_headers()
            self.manifest = self._read_manifest()
        except CaptureFileError:
            self.close()
            raise
        except _BROKEN as error:
            self.close()
            raise self._broken(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    manifest: CaptureManifest | None
    """None for a capture of the original platform."""

    @property
    def names(self) -> list[str]:
        """Names of the files in it."""
        return list(self._members)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files in it together."""
        return sum(member.size for member in self._members.values())

    def extract(self, target: Path, *folders: str) -> None:
        """Write the files below these folders into ``target``, an empty folder; every file is held against the manifest."""
        free = shutil.disk_usage(target).free
        wanted = [name for name in self._members if name.startswith(tuple(f"{each}/" for each in folders))]
        needed = sum(self._members[name].size for name in wanted)
        if needed > free:
            raise CaptureFileError(
                f"{str(self._path)!r} unpacks to {needed} bytes, and {str(target)!r} has {free} left; "
                "free some, or name another folder in TMPDIR"
            )
        chosen = set(wanted)
        try:
            for name in self._members:
                if name in chosen:
                    file = target / name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    with file.open("xb") as out:
                        self._copy(name, out.write)
                elif self.manifest is not None:
                    self._copy(name, lambda _: None)
        except _BROKEN as error:
            raise self._broken(error) from error

    def _copy(self, name: str, write: Callable[[bytes], Any]) -> None:
        member, digest = self._members[name], hashlib.sha256()
        left = member.size
        self._content.seek(member.offset_data)
        while left:
            chunk = self._content.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise self._refused(name, f"it ends {left} bytes early")
            digest.update(chunk)
            write(chunk)
            left -= len(chunk)
        listed = self.manifest.member(name) if self.manifest else None
        if listed is not None and digest.hexdigest() != listed.sha256:
            raise self._refused(
                name,
                f"it was changed after it was written: its SHA-256 is {digest.hexdigest()}, the manifest has {listed.sha256}",
            )

    def _checked_headers(self) -> dict[str, tarfile.TarInfo]:
        found: dict[str, tarfile.TarInfo] = {}
        packed = self._path.stat().st_size
        most = self._limits.total_bytes
        if self._content.is_compressed:
            most = min(most, self._limits.free_bytes + packed * self._limits.ratio)
        else:
            most = min(most, packed)
        total = number = 0
        with tarfile.open(fileobj=cast("IO[bytes]", self._content), mode="r:") as tar:
            for member in tar:
                number += 1
                name = self._checked(member)
                if number > self._limits.members:
                    raise self._refused(name, f"there are more than {self._limits.members} members")
                total += member.size
                if total > most:
                    raise self._refused(
                        name,
                        f"with its {member.size} bytes the members hold more than {most}, which is too much for a "
                        f"file of {packed} bytes",
                    )
                if member.isfile():
                    if name in found:
                        raise self._refused(name, "there are two members of this name")
                    found[name] = member
            self._check_end(tar.offset)
        return found

    def _checked(self, member: tarfile.TarInfo) -> str:
        """The member's name as a path; raises for what must not be unpacked."""
        path = PurePosixPath(member.name)
        if member.type in _KINDS or member.issparse() or not (member.isfile() or member.isdir()):
            target = f" to {member.linkname!r}" if member.linkname else ""
            kind = (
                "a sparse file" if member.issparse() else _KINDS.get(member.type, "neither file nor folder")
            )
            raise self._refused(member.name, f"it is {kind}{target}")
        if (
            path.is_absolute()
            or ".." in path.parts
            or not path.parts
            or "\\" in member.name
            or _DRIVE.search(member.name)
        ):
            raise self._refused(member.name, "it would leave its folder")
        return str(path)

    def _check_end(self, offset: int) -> None:
        """Raise when what follows the last member is no end: tarfile takes a damaged header for one."""
        self._content.seek(offset)
        if self._content.read(_BLOCK_BYTES).strip(b"\0"):
            raise CaptureFileError(f"{str(self._path)!r} cannot be unpacked: damaged header at byte {offset}")

    def _read_manifest(self) -> CaptureManifest | None:
        if MANIFEST not in self._members:
            return None
        if self._members[MANIFEST].size > self._limits.manifest_bytes:
            raise self._refused(MANIFEST, f"it is larger than {self._limits.manifest_bytes} bytes")
        content: list[bytes] = []
        self.manifest = None
        self._copy(MANIFEST, content.append)
        try:
            manifest = parse_manifest(b"".join(content))
        except CaptureFileError as error:
            raise self._refused(MANIFEST, str(error)) from error
        listed = {each.name: each for each in manifest.members}
        if len(listed) != len(manifest.members) or MANIFEST in listed:
            raise self._refused(MANIFEST, "it lists a member twice, or itself")
        for name, member in self._members.items():
            if name not in listed and name != MANIFEST:
                raise self._refused(name, "the manifest does not list it")
            if name in listed and member.size != listed[name].size_bytes:
                raise self._refused(
                    name, f"it has {member.size} bytes, the manifest says {listed[name].size_bytes}"
                )
        for name in listed:
            if name not in self._members:
                raise self._refused(name, "the manifest lists it, and it is missing")
        return manifest

    def _refused(self, member: str, reason: str) -> CaptureFileError:
        return CaptureFileError(f"{str(self._path)!r} is refused: member {member!r}: {reason}")

    def _broken(self, error: Exception) -> CaptureFileError:
        return CaptureFileError(f"{str(self._path)!r} cannot be unpacked: {error}")


class _BoundedReads:
    """A file of which nothing is read in one piece that is larger than a header may be."""

    def __init__(self, content: tuple[Any, bool]) -> None:
        self._content, self.is_compressed = content

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _CHUNK_BYTES:
            raise tarfile.ReadError(f"a header says that it has {size} bytes")
        data: bytes = self._content.read(size)
        return data

    def seek(self, offset: int) -> int:
        return int(self._content.seek(offset))

    def tell(self) -> int:
        return int(self._content.tell())


def _decompressed(file: IO[bytes]) -> tuple[Any, bool]:
    """The tar, and whether it was compressed."""
    start = file.read(max(map(len, _COMPRESSIONS)))
    file.seek(0)
    for magic, reader in _COMPRESSIONS.items():
        if start.startswith(magic):
            return reader(file), True
    return file, False
