"""Checks of the local stack's data folder: can it be used, is there enough space, are its ports free."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from parallelm.mcenter.doctor.check import Check, note, ok, problem
from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.folder import ARTIFACTS, FolderLock, check_version
from parallelm.mcenter.local_stack.plan import remembered_ports, settings_path
from parallelm.mcenter.local_stack.state import load_state
from parallelm.supervision.ports import is_free, owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DISK_NEEDED_BYTES = 2_000_000_000


def stack_checks(folder: Path) -> Iterator[Check]:
    """All checks of the folder; nothing is written."""
    yield _folder(folder)
    yield _disk(folder)
    running = FolderLock(folder).holder()
    if running is None:
        yield note("local stack", f"none runs in {folder}", "`mcenter up` starts one")
        yield _ports(folder)
    else:
        yield _running(folder, running)
        yield _data(folder)


def _folder(folder: Path) -> Check:
    existing = _existing(folder)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return problem("data folder", f"{existing} is not a writable folder", "name another with --data")
    try:
        check_version(folder)
    except StackError as error:
        return problem("data folder", "not usable", error.message)
    return ok("data folder", str(folder))


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(_existing(folder)).free
    found = f"{free / 1e9:.1f} GB free"
    if free < DISK_NEEDED_BYTES:
        return problem(
            "disk",
            found,
            f"free at least {DISK_NEEDED_BYTES / 1e9:.0f} GB, or name another folder with --data",
        )
    return ok("disk", found)


def _running(folder: Path, supervisor: int) -> Check:
    state = load_state(folder)
    bad = (
        [f"{entry.name} is {entry.condition}" for entry in state.processes if not entry.is_up]
        if state
        else []
    )
    if bad:
        return problem("local stack", f"pid {supervisor}: {', '.join(bad)}", f"see {folder / 'logs'}")
    return ok("local stack", f"runs, pid {supervisor}")


def _data(folder: Path) -> Check:
    """Whether the data of the running stack are below its folder, so that nothing is left when it is removed."""
    from parallelm.connections import ConfigurationError, load_settings
    from parallelm.connections.artifacts import artifacts_url, local_path

    state = load_state(folder)
    ready = [entry.name for entry in state.processes if entry.is_up] if state else []
    elsewhere = [
        f"those of {name}" for name in ("kafka", "clickhouse") if name in ready and _is_empty(folder / name)
    ]
    try:
        url = artifacts_url(load_settings({}, file=settings_path(folder)).artifacts)
        if url.startswith("file:") and not _same_place(local_path(url), folder / ARTIFACTS):
            elsewhere.append(f"models, in {local_path(url)}")
    except ConfigurationError as error:
        return problem(
            "data", f"the settings cannot be read: {error}", "correct them, or run `mcenter up` again"
        )
    if elsewhere:
        return problem(
            "data",
            f"not in {folder}: {', '.join(elsewhere)}",
            "was it moved? `mcenter down`, then `mcenter up`",
        )
    return ok("data", f"in {folder}")


def _is_empty(folder: Path) -> bool:
    return not folder.is_dir() or not any(folder.iterdir())


def _same_place(one: str, other: Path) -> bool:
    """Whether two paths are the same folder, which need not exist."""
    return os.path.realpath(one) == os.path.realpath(other)


def _ports(folder: Path) -> Check:
    taken = [
        f"{port} ({name}) by {owner(port)}"
        for name, port in remembered_ports(folder).items()
        if not is_free(port)
    ]
    if taken:
        return note(
            "ports",
            f"taken: {', '.join(taken)}",
            "the next start chooses others; to keep these ports, end those programs",
        )
    return ok("ports", "free")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest of its parents that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
