"""Tasks: work that goes on after its request was answered."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import Path, Request

from parallelm.server.access.dependencies import Asking
from parallelm.server.accounts import tasks as store
from parallelm.server.accounts.tables import Task
from parallelm.server.api._readable import unknown
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Moment, moment_of
from parallelm.server.context import context_of
from parallelm.server.errors import UnknownTaskError

if TYPE_CHECKING:
    from parallelm.server.access.principal import Principal

ROUTER: Final = resource("tasks")
OF_ALL: Final = "operations.read"
"""Who may do this sees tasks of others."""


class TaskStatus(Answer):
    """How far a task is."""

    task_id: str
    kind: str
    """`erase` or `import_capture`."""
    mlapp_id: str
    """Empty: it concerns no single MLApp."""
    about: str
    asked_by: str
    started_at: Moment
    state: Literal["in_progress", "complete", "failed"]
    progress: float
    """0 to 1."""
    step: str
    """What is done now."""
    reason: str
    """Why it has failed."""
    result: dict[str, Any]
    """What came of it; what is in it depends on its kind."""


@ROUTER.get("/tasks/{task_id}")
def get_task(
    request: Request, asking: Asking, task_id: Annotated[str, Path(min_length=1, max_length=100)]
) -> TaskStatus:
    """One that one has begun oneself, or, with the right to see operations, anybody's. It is known for 30 days."""
    return status_of(readable_task(request, asking, task_id))


def readable_task(request: Request, asking: Principal, task_id: str) -> Task:
    """One that somebody may see; 404 for others."""
    try:
        found = store.find(context_of(request).database, task_id, time.time_ns() // 1_000_000)
    except UnknownTaskError:
        raise unknown("task", task_id) from None
    if found.asked_by != asking.name and not asking.may(OF_ALL):
        raise unknown("task", task_id)
    return found


def begun(request: Request, task_id: str) -> TaskStatus:
    """A task that this request has begun."""
    return status_of(store.find(context_of(request).database, task_id, time.time_ns() // 1_000_000))


def status_of(task: Task) -> TaskStatus:
    """As it is answered."""
    same = ("task_id", "kind", "mlapp_id", "about", "asked_by", "state", "step", "reason")
    return TaskStatus.model_validate(
        {name: getattr(task, name) for name in same}
        | {"started_at": moment_of(task.begun_ms), "progress": task.share, "result": json.loads(task.result)}
    )
