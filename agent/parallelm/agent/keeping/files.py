"""Small files that say how a run stands: replaced as a whole, and on the disk before anything relies on them."""

from __future__ import annotations

import itertools
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_CALLS = itertools.count()
RESERVE_BYTES = 4096
"""Fits every record whose writing must not fail for want of space."""


def sync_folder(folder: Path) -> None:
    """Have names in the folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_json(
    path: Path, table: dict[str, Any], *, durable: bool = True, reserve: Path | None = None
) -> None:
    """Replace ``path`` as a whole; with ``reserve`` into space that ``reserve_space`` has set aside."""
    temporary = _temporary(path) if reserve is None else reserve
    try:
        _write(temporary, table, os.O_CREAT if reserve is None else 0, durable=durable)
        temporary.replace(path)
    except OSError:
        if reserve is None:
            temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def create_json(path: Path, table: dict[str, Any]) -> bool:
    """Create ``path``, whole and on the disk; returns False, and changes nothing, when it exists."""
    temporary = _temporary(path)
    try:
        _write(temporary, table, os.O_CREAT, durable=True)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def read_json(path: Path) -> dict[str, Any] | None:
    """What the file says, or None when there is none, or none that can be read: a power failure may leave it empty."""
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        _warn(path, error)
        return None
    if not isinstance(table, dict):
        _warn(path, f"it is {table!r:.40}")
        return None
    return table


def _warn(path: Path, why: object) -> None:
    import logging  # keepers do without, but for this

    logging.getLogger(__name__).warning("%s is no JSON object, and is taken as missing: %s", path, why)


def reserve_space(path: Path) -> None:
    """Set aside space for one record that must be written even when the disk is full by then."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    """Its own for each call of each process and thread."""
    return path.with_name(f".{path.name}.{os.getpid()}.{next(_CALLS)}")


def _write(path: Path, table: dict[str, Any], flags: int, *, durable: bool) -> None:
    content = json.dumps(table).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
    try:
        written = 0
        while written < len(content):
            written += os.pwrite(descriptor, content[written:], written)
        os.ftruncate(descriptor, len(content))
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
