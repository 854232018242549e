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
_CONFIRM_S: Final = 10.0
_MINUTE_S: Final = 60.0
_CLAIM_MS: Final = 60_000
_AGAIN_S: Final = 10.0
"""Kafka is away, or another process has left records: look again after so long."""


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction on accounts, with who makes it."""

    sql: Session
    author: Author
    now_ms: int

    def note(self, action: str, target: str, **parameters: object) -> None:
        """Record what is done in this transaction."""
        said = {key: _writable(str(value)[:500]) for key, value in parameters.items()}
        made = new_action(
            action,
            ALL_MLAPPS,
            who=self.author,
            target=_writable(target),
            parameters=said,
            event_time_ms=self.now_ms,
        )
        self.sql.add(AuditRecord(action_id=made.action_id, record=dataclasses.asdict(made)))


def _writable(text: str) -> str:
    """Without what UTF-8 has no bytes for: a record that cannot be written would keep all others waiting."""
    return text.encode(errors="replace").decode()


class RefusalLimit:
    """Lets few refusals through in a minute, and equal ones once: whoever is refused must not fill the log."""

    def __init__(self, in_a_minute: int = 60) -> None:
        self._in_a_minute = in_a_minute
        self._lock = threading.Lock()
        self._since_s = float("-inf")
        self._seen: set[tuple[str, ...]] = set()
        self._left_out = 0

    def take(self, refusal: tuple[str, ...], now_s: float) -> int | None:
        """How many were left out since the last one that was let through; None: leave this one out as well."""
        with self._lock:
            if now_s - self._since_s >= _MINUTE_S:
                self._since_s, self._seen = now_s, set()
            if refusal in self._seen or len(self._seen) >= self._in_a_minute:
                self._left_out += 1
                return None
            self._seen.add(refusal)
            left_out, self._left_out = self._left_out, 0
            return left_out


class AuditLog:
    """Sends the records that wait in the database, in a thread that starts when there is something to send."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._refusals = RefusalLimit()
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

    def refused(self, author: Author, action: str, target: str, **parameters: object) -> None:
        """Record a refusal, unless there are too many of late: those that are not recorded are counted in the next one."""
        left_out = self._refusals.take((author.name, action, target), time.monotonic())
        if left_out is None:
            return
        if left_out:
            parameters["left_out_before"] = left_out
        with self.changing(author) as change:
            change.note(action, target[:200], **parameters)

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
            self._thread.join(_CONFIRM_S)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._woken.wait(_AGAIN_S)
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
        with self._database.reading() as sql:
            if sql.scalar(free) is None:
                return []
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
