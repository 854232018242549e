"""Tasks of the server: begun by one request, asked for by others, in whichever process they run."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from parallelm.server.accounts.tables import Task
from parallelm.server.errors import TaskGoesOnError, UnknownTaskError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from parallelm.server.accounts.database import Database

IN_PROGRESS: Final = "in_progress"
COMPLETE: Final = "complete"
FAILED: Final = "failed"
SILENT_MS: Final = 60_000
"""A task that has not reported for so long goes on no more: its process has ended."""
KEEP_MS: Final = 30 * 24 * 3_600_000
_SILENT: Final = "the server ended in the middle of it: begin it again, it goes on where it was"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done."""

    kind: str
    about: str
    """What it is done with, in words."""
    asked_by: str
    mlapp_id: str = ""
    """Empty: it concerns no single MLApp."""


def begin(database: Database, order: Order, now_ms: int) -> str:
    """Id of a new task; raises ``TaskGoesOnError`` while another one of its kind goes on."""
    made = Task(
        task_id=uuid.uuid4().hex,
        kind=order.kind,
        alone=order.kind,
        mlapp_id=order.mlapp_id,
        about=order.about,
        asked_by=order.asked_by,
        begun_ms=now_ms,
        seen_ms=now_ms,
        state=IN_PROGRESS,
        share=0.0,
        step="",
        reason="",
        result="{}",
    )
    try:
        with database.writing() as sql:
            sql.execute(delete(Task).where(Task.seen_ms < now_ms - KEEP_MS))
            _end_silent(sql, now_ms)
            sql.add(made)
            sql.flush()
    except IntegrityError as error:
        raise TaskGoesOnError(
            f"there is one {order.kind.replace('_', ' ')} at a time, and another one goes on: wait for its end"
        ) from error
    return made.task_id


def report(database: Database, task_id: str, share: float, step: str, now_ms: int) -> None:
    """It goes on, and is so far."""
    with database.writing() as sql:
        said = {"share": share, "step": step, "seen_ms": now_ms}
        sql.execute(update(Task).where(Task.task_id == task_id, Task.state == IN_PROGRESS).values(said))


def end(
    database: Database,
    task_id: str,
    now_ms: int,
    *,
    result: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """It is complete with this result, or has failed for this reason."""
    said: dict[str, Any] = {"alone": None, "seen_ms": now_ms, "step": ""}
    if result is None:
        said |= {"state": FAILED, "reason": reason}
    else:
        said |= {"state": COMPLETE, "share": 1.0, "result": json.dumps(result)}
    with database.writing() as sql:
        sql.execute(update(Task).where(Task.task_id == task_id).values(said))


def find(database: Database, task_id: str, now_ms: int) -> Task:
    """One; raises ``UnknownTaskError``."""
    found = _read(database, task_id)
    if found.state == IN_PROGRESS and found.seen_ms < now_ms - SILENT_MS:
        with database.writing() as sql:
            _end_silent(sql, now_ms)
        found = _read(database, task_id)
    return found


def _read(database: Database, task_id: str) -> Task:
    with database.reading() as sql:
        found = sql.get(Task, task_id)
    if found is None:
        raise UnknownTaskError(f"there is no task {task_id!r}; it is known for 30 days after its end")
    return found


def _end_silent(sql: Session, now_ms: int) -> None:
    silent = (Task.state == IN_PROGRESS, Task.seen_ms < now_ms - SILENT_MS)
    sql.execute(update(Task).where(*silent).values(alone=None, state=FAILED, step="", reason=_SILENT))
