"""Finds the part of the cgroup tree (version 2) that is the agent's: below it each run has a cgroup with its limits.

A cgroup that hands controllers on has no processes of its own. So the agent is in a cgroup ``agent``, beside those of runs:
systemd puts it there (``Delegate=yes``, ``DelegateSubgroup=agent``), or it moves itself when it is alone in its cgroup, as in
a container. Cgroups with other processes are left as they are.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

_LOG = logging.getLogger(__name__)
_CONTROLLERS = ("memory", "cpu")
_OWN = "agent"
RUN_PREFIX = "run-"


def delegated(tree: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> str:
    """Path below which cgroups of runs can be made; empty when there is none, which is logged with the reason."""
    try:
        found, why = _delegated(tree, own)
    except OSError as error:
        found, why = None, str(error)
    if found is None:
        _LOG.info("limits of runs are not enforced by cgroups: %s", why)
        return ""
    _remove_left(found)
    return str(found)


def _delegated(tree: Path, own: Path) -> tuple[Path | None, str]:
    lines = own.read_text("ascii").splitlines()
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if path is None or not (tree / "cgroup.controllers").exists():
        return None, f"{tree} is no tree of version 2"
    place = tree / path
    if place.name == _OWN:
        place = place.parent
    else:
        others = set((place / "cgroup.procs").read_text("ascii").split()) - {str(os.getpid())}
        if others:
            return (
                None,
                f"{place} has other processes than the agent's; set Delegate=yes and DelegateSubgroup={_OWN}",
            )
        (place / _OWN).mkdir(exist_ok=True)
        (place / _OWN / "cgroup.procs").write_text(str(os.getpid()), "ascii")
    there = (place / "cgroup.controllers").read_text("ascii").split()
    if missing := [each for each in _CONTROLLERS if each not in there]:
        return None, f"{place} was not given the controllers {' and '.join(missing)}"
    (place / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in _CONTROLLERS), "ascii")
    return place, ""


def _remove_left(place: Path) -> None:
    """Remove cgroups that killed keepers have left; the kernel refuses those that have processes."""
    for left in place.glob(f"{RUN_PREFIX}*"):
        with contextlib.suppress(OSError):
            left.rmdir()
