"""Tasks of a server, followed to their end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from parallelm.operations.acting.calls import path_of
from parallelm.operations.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.operations.acting.server_client import ServerClient

_POLL_S: Final = 0.5


def followed(
    server: ServerClient, begun: Mapping[str, Any], on_progress: Callable[[float, str], None]
) -> Mapping[str, Any]:
    """Its result once it is complete; raises ``OperationError`` with the reason when it has failed."""
    task, told = begun, (-1.0, "")
    while task["state"] == "in_progress":
        if (now := (float(task["progress"]), str(task["step"]))) != told:
            on_progress(*now)
            told = now
        time.sleep(_POLL_S)
        task = server.get(path_of("tasks", task["task_id"]))
    if task["state"] == "failed":
        raise OperationError(f"{task['reason']} (task {task['task_id']})")
    result: Mapping[str, Any] = task["result"]
    return result
