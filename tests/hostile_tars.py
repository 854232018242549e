"""Tars that no program writes: their headers are wrong, not what they hold."""

from __future__ import annotations

import tarfile


def headers_about_headers(count: int = 3000) -> bytes:
    """Each says a long name for the header after it, which is another one of its kind."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    return (header.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")) * count + _file()


def with_extended_header(said: str) -> bytes:
    """A file of which an extended header says this, such as ``path=x``."""
    record = f" {said}\n".encode()
    size = next(n for n in range(len(record), len(record) + 9) if n == len(record) + len(str(n)))
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, size
    return header.tobuf() + (str(size).encode() + record).ljust(512, b"\0") + _file()


def _file() -> bytes:
    return tarfile.TarInfo("file").tobuf() + bytes(1024)
