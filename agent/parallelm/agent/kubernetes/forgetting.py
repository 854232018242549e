"""Which runs a host needs not remember any more."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from parallelm.agent.kubernetes.run import KubernetesRun

_SHORTEST_KEEP_S: Final = 86_400
"""Of ended runs: longer than any start command is valid."""
FORGET_EVERY_S: Final = 600.0


def old(runs: Iterable[KubernetesRun]) -> Iterator[KubernetesRun]:
    """Ended runs that the control plane knows of and that are as old as their node keeps logs."""
    for run in runs:
        ending = run.ending if run.is_settled else None
        keep_s = max(run.spec.running.logs.keep / 1000, _SHORTEST_KEEP_S)
        if ending is not None and time.time() - ending.ended_at_ms / 1000 > keep_s:
            yield run


def delete_left(folder: Path) -> None:
    """Delete what an earlier agent was deleting when it ended."""
    for left in folder.glob(".gone-*"):
        shutil.rmtree(left, ignore_errors=True)
