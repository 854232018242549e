"""Deletes what runs have left on the host and none needs any more: cached components, environments, and uv's own cache."""

from __future__ import annotations

import contextlib
import shutil
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from parallelm.agent.keeping.run_folder import RunFolder

KEEP_UNUSED_S = 14 * 86_400
"""Of a component or environment, from the last run that was given it; of uv's cache, from the last environment made."""
CACHES = "components", "environments"


def prune_caches(folder: Path, going_on: Iterable[RunFolder], now_s: float | None = None) -> list[str]:
    """Delete cached entries that no run was given for long, unless one that goes on has it; returns their names."""
    before_s = (time.time() if now_s is None else now_s) - KEEP_UNUSED_S
    old = [
        entry
        for cache in CACHES
        for entry in (folder / cache).glob("[!.]*")
        if entry.is_dir() and entry.stat().st_mtime < before_s
    ]
    plans = [_text(run.path / "plan.json") for run in going_on] if old else []
    gone = []
    for entry in old:
        if any(entry.name in plan for plan in plans):
            continue
        # Renamed first: what is there under its name is whole.
        left = entry.with_name(f".gone-{entry.name}")
        with contextlib.suppress(OSError):  # the next time
            entry.rename(left)
            gone.append(entry.name)
        shutil.rmtree(left, ignore_errors=True)
    return gone


def mark_used(entry: Path) -> None:
    """Have it be kept for as long again."""
    with contextlib.suppress(OSError):
        entry.touch()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""
