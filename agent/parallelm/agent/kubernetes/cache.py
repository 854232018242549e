"""The objects of this agent as the cluster told of them last."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from parallelm.agent.kubernetes.cluster import DEPLOYMENT, JOB, POD, Kind
from parallelm.agent.kubernetes.objects import ATTEMPT, RUN

if TYPE_CHECKING:
    from collections.abc import Callable

_Named = dict[str, dict[str, Any]]


class Cache:
    """Filled by watches, asked by the runner; threads may share it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._objects: dict[str, _Named] = {kind.name: {} for kind in (JOB, DEPLOYMENT, POD)}
        self._lists: dict[str, int] = dict.fromkeys(self._objects, 0)
        self._deleted: set[tuple[str, str]] = set()

    def listed(self, kind: Kind, objects: list[dict[str, Any]]) -> None:
        """All that there are."""
        with self._lock:
            # The items of a list do not say what they are.
            self._objects[kind.name] = {
                each["metadata"]["name"]: each | {"kind": kind.name} for each in objects
            }
            self._lists[kind.name] += 1
        self._wake()

    def happened(self, kind: Kind, event: str, found: dict[str, Any]) -> None:
        """One was added, changed or deleted."""
        with self._lock:
            if event == "DELETED":
                self._objects[kind.name].pop(found["metadata"]["name"], None)
                self._deleted.add((kind.name, found["metadata"]["name"]))
            else:
                self._objects[kind.name][found["metadata"]["name"]] = found | {"kind": kind.name}
        self._wake()

    def get(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """An object, or None when there is none."""
        with self._lock:
            return self._objects[kind.name].get(name)

    def pods(self, run: str, attempt: str) -> list[dict[str, Any]]:
        """Pods of a run, by its labels."""
        with self._lock:
            found = list(self._objects[POD.name].values())
        return [
            pod
            for pod in found
            if pod["metadata"].get("labels", {}).get(RUN) == run
            and pod["metadata"]["labels"].get(ATTEMPT) == attempt
        ]

    def lists(self, kind: Kind) -> int:
        """How often all were listed."""
        with self._lock:
            return self._lists[kind.name]

    def is_gone(self, kind: Kind, name: str, lists_before: int) -> bool:
        """Whether an object that was created after so many lists is there no more.

        The list after the next one was asked for after the object was created: it would show it.
        """
        with self._lock:
            if name in self._objects[kind.name]:
                return False
            return (kind.name, name) in self._deleted or self._lists[kind.name] > lists_before + 1
