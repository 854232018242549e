"""Deletes what no run on the host needs any more: regularly, and at once when the disk is full."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from parallelm.agent.pipelines.errors import DiskFullError, PreparationError
from parallelm.agent.pipelines.pruning import CACHES, prune_caches
from parallelm.definitions.run_spec import RunSpec, step_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from parallelm.agent.keeping.keepers import Keepers
    from parallelm.agent.keeping.run_folder import RunFolder

CLEAN_EVERY_S = 600.0
_LOOK_EVERY_S = 1.0
_AGAIN_S = 10.0
_SHARE_OF_TIME = 0.05
"""Between two clean-ups of a disk that stays full: at least so long, and at most such a share of the time goes into them."""
_FULL_SHARE, _FULL_BYTES = 0.01, 256 * 2**20
"""A disk is full when less than the smaller of both is left, or that share of its files: programs and keepers fail there
without the agent seeing it."""
_SHORTEST_KEEP_S = 86_400
"""Of ended runs: longer than any start command is valid."""
_HALF_MADE_S = 86_400
"""Older than this, what was being accepted or fetched has been left by an agent that was killed."""
_WORDS = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT)]
SETTLED = "settled"
"""File of a run whose end the control plane knows of."""
_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def is_of_full_disk(error: BaseException) -> bool:
    """Whether it says so. By its words: uv and others pass on no more."""
    return any(words in str(error) for words in _WORDS)


class DiskSpace:
    """The disk of an agent's folder. Used by any number of threads."""

    def __init__(self, keepers: Keepers, folder: Path) -> None:
        self._keepers, self._folder = keepers, folder
        self._lock = threading.Lock()
        self._look_at_s = self._clean_at_s = 0.0
        self._clean_again_at_s = 0.0
        self._is_full = False

    def look(self) -> None:
        """Clean up when it is time to, or when the disk is full; to be called often."""
        now_s = time.monotonic()
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + _LOOK_EVERY_S
        if now_s > self._clean_at_s:
            self._clean_at_s = now_s + CLEAN_EVERY_S
            with self._lock:
                self._clean_up()
        if self._has_no_room():
            self.make_room()
        elif self._is_full:
            self._is_full = False
            _LOG.info("there is room again on the disk of %s", self._folder)

    def make_room(self) -> None:
        """Clean up at once, unless that was done a moment ago, and say it when that was not enough."""
        with self._lock:
            if time.monotonic() > self._clean_again_at_s:
                before = self._free_bytes()
                self._clean_up()
                if freed := max(0, self._free_bytes() - before):
                    _LOG.warning("the disk of %s was full: %d bytes were freed", self._folder, freed)
            if self._has_no_room() and not self._is_full:
                self._is_full = True
                _LOG.error(
                    "the disk of %s is full, with %d bytes left, and of ended runs nothing more may be deleted yet: runs "
                    "that need room fail or are refused, and lines of logs are dropped, until there is some",
                    self._folder,
                    self._free_bytes(),
                )

    def with_room(self, work: Callable[[], _Result]) -> _Result:
        """Do the work; when the disk is full, clean up and do it once more. Raises ``DiskFullError`` when that is no use."""
        try:
            return work()
        except (PreparationError, OSError) as error:
            if not is_of_full_disk(error):
                raise
        self.make_room()
        try:
            return work()
        except (PreparationError, OSError) as error:
            if not is_of_full_disk(error):
                raise
            raise DiskFullError(
                f"{error} (also after a clean-up: of ended runs nothing more may be deleted yet)"
            ) from error

    def _has_no_room(self) -> bool:
        disk = os.statvfs(self._folder)
        least = min(_FULL_BYTES, disk.f_blocks * disk.f_frsize * _FULL_SHARE)
        return disk.f_bavail * disk.f_frsize < least or disk.f_favail < disk.f_files * _FULL_SHARE

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    def _clean_up(self) -> None:
        began_s, going_on = time.monotonic(), []
        for run in self._keepers.runs():
            try:
                if run.ending() is None:
                    going_on.append(run)
                else:
                    _clean_up_after(run)
            except FileNotFoundError:
                continue  # it was forgotten meanwhile
            except (OSError, ValueError, TypeError) as error:
                _LOG.warning(
                    "run %s is left as it is, since its files cannot be read: %s", run.path.name, error
                )
        if pruned := prune_caches(self._folder, going_on):
            _LOG.info("deleted of the caches, unused for long: %s", ", ".join(pruned))
        for place in (self._keepers.root, *(self._folder / cache for cache in CACHES)):
            _delete_left(place)
        ended_s = time.monotonic()
        self._clean_again_at_s = ended_s + max(_AGAIN_S, (ended_s - began_s) / _SHARE_OF_TIME)


def free(run: RunFolder, spec: RunSpec) -> None:
    """Delete an ended run's copies of what is published: components that it worked in, models. Its files and log stay."""
    for copy in copies(run, spec):
        shutil.rmtree(copy, ignore_errors=True)


def copies(run: RunFolder, spec: RunSpec) -> list[Path]:
    """Folders with what a run has copies of."""
    steps = enumerate(spec.running.steps)
    components = [run.work / step_id(step, at) for at, step in steps if step.component is not None]
    return [run.path / "models", *components]


def _clean_up_after(run: RunFolder) -> None:
    """Delete what an ended run need not keep; when it is as old as its node keeps logs, all of it."""
    spec, ending = RunSpec.of_json(run.spec_json()), run.ending()
    free(run, spec)
    if ending is None or not (run.path / SETTLED).exists():
        return
    keep_s, age_s = spec.running.logs.keep / 1000, time.time() - ending.ended_at_ms / 1000
    if age_s > max(keep_s, _SHORTEST_KEEP_S):
        with contextlib.suppress(OSError):  # the next time
            run.forget()
    elif age_s > keep_s:
        run.clear()


def _delete_left(folder: Path) -> None:
    """Delete what an agent that was killed was making or deleting here."""
    for left in folder.glob(".*"):
        with contextlib.suppress(FileNotFoundError):
            if left.name.startswith(".gone-") or time.time() - left.stat().st_mtime > _HALF_MADE_S:
                shutil.rmtree(left, ignore_errors=True)
