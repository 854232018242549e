"""One turn of being the notifier that sends: from reading what is stored until the election, the broker or a signal ends it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.records import NotificationState, Silence
from parallelm.schemas.topic_admin import connect, topic_ids
from parallelm.schemas.topic_writer import OutgoingRecord
from parallelm.schemas.topics import ALERTS, DEPLOYMENTS, NOTIFICATIONS, SILENCES
from parallelm.stream_processors.notifications.desk import Desk
from parallelm.stream_processors.notifications.edge import metrics
from parallelm.stream_processors.notifications.edge.dispatcher import Attempt
from parallelm.stream_processors.notifications.edge.errors import SessionLostError
from parallelm.stream_processors.notifications.edge.inputs import Inputs
from parallelm.stream_processors.notifications.edge.senders import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.connections import Settings
    from parallelm.definitions.notifications import NotificationRules
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.records import Notification
    from parallelm.stream_processors.notifications.deliveries import Delivery
    from parallelm.stream_processors.notifications.edge.dispatcher import Attempted, Dispatcher
    from parallelm.stream_processors.notifications.edge.election import Election
    from parallelm.stream_processors.notifications.edge.inputs import Arrived, Place
    from parallelm.stream_processors.notifications.edge.store import StateStore

logger = logging.getLogger(__name__)

_READ_S = 0.05
_FINISH_S = 12.0
"""Longer than an attempt takes."""
_TIMEOUT_S = 10.0
_TOPIC_CHECK_S = 10.0
_COMMIT_RECORDS = 2_000
"""After so many records what they changed is stored, also while there are more."""
SILENCE_RETENTION_MS = 5 * 86_400_000
"""So long after its end a silence is shown; then it is removed from the topic."""


def clock_ms() -> int:
    """This machine's clock."""
    return time.time_ns() // 1_000_000


class Session:
    """Reads, decides, stores, and lets the dispatcher send what is stored."""

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        rules: NotificationRules,
        election: Election,
        dispatcher: Dispatcher,
        session_timeout_s: float,
    ) -> None:
        self._settings = settings
        self._prefix = settings.kafka.topic_prefix
        self._codec = codec
        self._election = election
        self._dispatcher = dispatcher
        self._lease_s = session_timeout_s / 2
        self._desk = Desk(rules, _template_failed)
        self._inputs: Inputs | None = None
        self._ids: dict[str, str] = {}
        self._next: dict[Place, int] = {}
        self._is_starting = False
        self._unstored = 0
        self._now_ms = 0
        self._silence_ends: dict[str, int] = {}

    # ---- begin and end ------------------------------------------------------------------------------------------

    def open(self, store: StateStore) -> None:
        """Read what is stored, and start reading where that ends."""
        stored = store.open()
        self._store = store
        names = [topic.full_name(self._prefix) for topic in (ALERTS, DEPLOYMENTS, SILENCES)]
        self._admin, metadata = connect(self._settings, _TIMEOUT_S)
        self._ids = topic_ids(self._admin, names, _TIMEOUT_S)
        self._checked_at = time.monotonic()
        positions = stored.get("positions", {}).get("", {})
        self._is_starting = not positions
        begin: dict[Place, int] = {}
        for name in names:
            known = positions.get(name, {})
            offsets: Mapping[str, int] = known.get("next", {}) if known.get("id") == self._ids[name] else {}
            for partition in metadata.topics[name].partitions:
                begin[name, partition] = offsets.get(str(partition), 0)
        silences = names[2]
        begin |= {place: 0 for place in begin if place[0] == silences}  # a table: read whole each time
        self._next = dict(begin)
        self._inputs = Inputs(self._settings, begin, {silences})
        self._now_ms = positions.get("at_ms", 0)
        self._desk.restore(stored, self._now_ms or clock_ms())
        self._desk.drop_orphans(clock_ms())
        self._desk.deliveries.mark_under_way(self._dispatcher.is_under_way)
        self._election.before_release = self.finish

    def close(self) -> None:
        """Stop reading."""
        if self._inputs is not None:
            self._inputs.close()

    def run(self, is_stopped: Callable[[], bool], on_ready: Callable[[], None]) -> None:
        """Work until it is stopped; raises ``SessionLostError`` and errors of the cluster."""
        is_ready = False
        while not is_stopped():
            self.step()
            if not is_ready and self._is_caught_up:
                is_ready = True
                on_ready()
        self.finish()

    def finish(self) -> None:
        """Let what is being sent end, and record it: whoever comes next must not send it again."""
        self._dispatcher.wait_for_attempts(_FINISH_S)
        self._store_all(self._take_ended())

    # ---- one step -----------------------------------------------------------------------------------------------

    @property
    def _is_caught_up(self) -> bool:
        return self._inputs is not None and self._inputs.is_caught_up and not self._is_starting

    def step(self) -> None:
        """Read what has come, decide what is due, store it, and send what is stored."""
        assert self._inputs is not None  # noqa: S101 - opened before
        if not self._election.poll(0):
            raise SessionLostError("another notifier was elected")
        self._check_topics()
        for arrived in self._inputs.read(_READ_S):
            self._take(arrived)
            if self._unstored >= _COMMIT_RECORDS and not self._is_starting:
                self._store_all([])
        self._pass_markers()
        if self._inputs.is_caught_up:
            self._now_ms = max(self._now_ms, clock_ms())
            if self._is_starting:
                self._is_starting = False
                self._desk.book.begin(self._now_ms)
                self._unstored += 1
            self._desk.flush(self._now_ms, clock_ms(), live=True)
        if not self._is_starting:
            self._deliver()
        self._show()

    def _pass_markers(self) -> None:
        assert self._inputs is not None  # noqa: S101 - opened before
        for place, end in self._inputs.ends().items():
            if end > self._next[place]:
                self._next[place] = end
                self._unstored += 1

    def _take(self, arrived: Arrived) -> None:
        topic = arrived.place[0].removeprefix(self._prefix)
        self._next[arrived.place] = arrived.offset + 1
        self._unstored += 1
        if topic == SILENCES.name:
            self._take_silence(arrived)
            return
        if not self._is_starting:
            self._now_ms = max(self._now_ms, arrived.arrived_at_ms)
            self._desk.flush(self._now_ms - 1, clock_ms(), live=False)
        metrics.TRANSITIONS.labels(topic).inc()
        record = self._decoded(arrived, topic)
        if record is not None:
            self._desk.take(record, max(self._now_ms, arrived.arrived_at_ms))

    def _take_silence(self, arrived: Arrived) -> None:
        silence_id = (arrived.key or b"").decode(errors="replace")
        silence: Silence | None = self._decoded(arrived, SILENCES.name) if arrived.value is not None else None
        self._desk.take_silence(silence_id, silence)
        self._silence_ends.pop(silence_id, None)
        if silence is not None:
            self._silence_ends[silence_id] = silence.ends_at_ms

    def _decoded(self, arrived: Arrived, topic: str) -> Any:
        expected = {each.name: each.record for each in (ALERTS, DEPLOYMENTS, SILENCES)}[topic]
        try:
            return self._codec.decode(arrived.value or b"", expected)
        except DecodeError as error:
            # The sink sends the same record to the dead letters.
            metrics.UNREADABLE.labels(topic).inc()
            logger.warning("%s/%d@%d: %s", *arrived.place, arrived.offset, error)
            return None

    def _deliver(self) -> None:
        ended, now_ms = self._take_ended(), clock_ms()
        ready = self._desk.deliveries.ready(now_ms)
        for delivery in ready:
            self._desk.deliveries.begin_attempt(delivery, now_ms)
        until = time.monotonic() + self._lease_s
        self._store_all(ended)
        for delivery in ready:
            # Stored, and so not fenced: until then nobody else sends.
            self._dispatcher.start(Attempt(delivery.notification.target, _message(delivery), until))

    def _take_ended(self) -> list[Attempted]:
        ended = self._dispatcher.ended()
        for each in ended:
            self._desk.attempted(each.notification_id, each.outcome, each.error, clock_ms())
        return ended

    # ---- what is stored -----------------------------------------------------------------------------------------

    def _store_all(self, ended: list[Attempted]) -> None:
        changes, history = self._desk.changes(), self._desk.history()
        expired = [
            name for name, end in self._silence_ends.items() if end + SILENCE_RETENTION_MS < clock_ms()
        ]
        if changes or history or self._unstored or expired:
            changes["positions", ""] = self._positions()
            name = NOTIFICATIONS.full_name(self._prefix)
            records = [
                OutgoingRecord(name, NOTIFICATIONS.key(each), self._codec.encode(each)) for each in history
            ]
            silences = SILENCES.full_name(self._prefix)
            records += [OutgoingRecord(silences, silence_id, None) for silence_id in expired]
            self._store.commit(changes, records)
            if self._unstored:
                self._election.report(self._offsets())
            self._unstored = 0
            for silence_id in expired:
                self._silence_ends.pop(silence_id)
            for each in history:
                _log(each)
        self._dispatcher.recorded(ended)

    def _positions(self) -> dict[str, Any]:
        positions: dict[str, Any] = {"at_ms": self._now_ms}
        for (name, partition), offset in self._next.items():
            entry = positions.setdefault(name, {"id": self._ids[name], "next": {}})
            entry["next"][str(partition)] = offset
        return positions

    def _offsets(self) -> list[Any]:
        from confluent_kafka import TopicPartition

        return [TopicPartition(*place, offset) for place, offset in self._next.items()]

    def _check_topics(self) -> None:
        """A topic that was made again holds other records under the same offsets: read again which ones count."""
        if time.monotonic() - self._checked_at < _TOPIC_CHECK_S:
            return
        self._checked_at = time.monotonic()
        now = topic_ids(self._admin, self._ids, _TIMEOUT_S)
        if now != self._ids:
            raise SessionLostError("a topic was deleted and made again")

    def _show(self) -> None:
        metrics.GROUPS.set(self._desk.book.group_count)
        for target, count in self._desk.deliveries.counts().items():
            metrics.PENDING.labels(target).set(count)


def _message(delivery: Delivery) -> Message:
    notification = delivery.notification
    return Message(
        notification.notification_id,
        notification.title,
        notification.body,
        delivery.payload,
        notification.status,
    )


def _log(notification: Notification) -> None:
    if notification.state is NotificationState.PENDING:
        return
    metrics.NOTIFICATIONS.labels(notification.target, notification.state.value).inc()
    if notification.state is NotificationState.FAILED:
        logger.error(
            "%s: notification %s (%s) was given up after %d attempts: %s",
            notification.target,
            notification.notification_id,
            notification.title,
            notification.attempts,
            notification.error,
        )


def _template_failed(receiver: str, wrong: str) -> None:
    metrics.TEMPLATE_ERRORS.labels(receiver).inc()
    logger.warning("receiver %s: its template failed, the default one is sent: %s", receiver, wrong)
