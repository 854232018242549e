"""What is done to accounts, and what is refused, for the audit log ``mlops.actions``.

A record is written into the SQL database in the transaction of the change that it tells of, and sent from there: it is neither
lost while Kafka is away, nor sent for what did not happen. After a crash between sending and forgetting it is sent again, with
the same ``action_id``.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, update

from parallelm.connections.errors import ConfigurationError
from parallelm.operations.actions import ALL_MLAPPS, new_action
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import SchemaError
from parallelm.schemas.records import UserAction
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
from parallelm.schemas.topics import ACTIONS
from parallelm.server.accounts.tables import AuditRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.orm import Session

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.server.accounts.database import Database

_LOG = logging.getLogger(__name__)
_AT_ONCE: Final = 200
_CONFIRM_S: Final = 15.0
_CLAIM_MS: Final = 60_000
_AGAIN_S: Final = 10.0
"""Kafka is away: try again after so long."""


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction on accounts, with who makes it."""

    sql: Session
    author: Author
    now_ms: int

    def note(self, action: str, target: str, *, mlapp_id: str = ALL_MLAPPS, **parameters: object) -> None:
        """Record what is done in this transaction."""
        said = {key: str(value)[:500] for key, value in parameters.items()}
        made = new_action(
            action, mlapp_id, who=self.author, target=target, parameters=said, event_time_ms=self.now_ms
        )
        self.sql.add(AuditRecord(action_id=made.action_id, record=dataclasses.asdict(made)))


class AuditLog:
    """Sends the records that wait in the database, in a thread that starts when there is something to send."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._woken = threading.Event()
        self._closed = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def changing(self, author: Author) -> Iterator[Change]:
        """A transaction whose notes are sent once it is committed."""
        with self._database.writing() as sql:
            yield Change(sql, author, time.time_ns() // 1_000_000)
        self.wake()

    def wake(self) -> None:
        """Send what waits."""
        with self._starting:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()
        self._woken.set()

    def close(self) -> None:
        """Stop; what waits is sent by the next process."""
        self._closed.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(_CONFIRM_S + 5)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._woken.wait()
            self._woken.clear()
            while not self._closed.is_set() and not self._send_all():
                self._closed.wait(_AGAIN_S)

    def _send_all(self) -> bool:
        """Whether nothing waits any more."""
        try:
            while claimed := self._claim():
                self._send(claimed)
                self._forget(claimed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the records stay and are tried again
            known = isinstance(error, SchemaError | ConfigurationError)
            _LOG.warning(
                "records of the audit log wait in the SQL database: %s",
                error,
                exc_info=None if known else error,
            )
            return False
        return True

    def _claim(self) -> list[UserAction]:
        now_ms = time.time_ns() // 1_000_000
        free = select(AuditRecord).where(AuditRecord.claimed_until_ms < now_ms).limit(_AT_ONCE)
        with self._database.writing() as sql:
            rows = sql.scalars(free.with_for_update(skip_locked=True)).all()
            for row in rows:
                row.claimed_until_ms = now_ms + _CLAIM_MS
            return [UserAction(**row.record) for row in rows]

    def _send(self, actions: Sequence[UserAction]) -> None:
        prefix = self._settings.kafka.topic_prefix
        codec = Codec(make_registry(self._settings.schema_registry, prefix))
        topic = ACTIONS.full_name(prefix)
        ordered = sorted(actions, key=lambda action: action.event_time_ms)
        records = [OutgoingRecord(topic, ACTIONS.key(action), codec.encode(action)) for action in ordered]
        try:
            write_and_confirm(self._settings, records, timeout_s=_CONFIRM_S)
        except BaseException:
            self._release(actions)
            raise

    def _release(self, actions: Sequence[UserAction]) -> None:
        with self._database.writing() as sql:
            ids = [action.action_id for action in actions]
            sql.execute(update(AuditRecord).where(AuditRecord.action_id.in_(ids)).values(claimed_until_ms=0))

    def _forget(self, actions: Sequence[UserAction]) -> None:
        with self._database.writing() as sql:
            ids = [action.action_id for action in actions]
            sql.execute(delete(AuditRecord).where(AuditRecord.action_id.in_(ids)))
