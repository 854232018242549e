"""The thread beside the spool: it asks for the end offsets of partitions, and replays what ended processes left behind.

``spool`` explains why each record arrives once. This thread passes what it finds to the sender thread, record by record.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config
from parallelm.connections.rate_limit import RateLimit
from parallelm.mlops._delivery.broker_away import RETRY_S
from parallelm.mlops._delivery.file_lock import LOCK, FileLock, remove_unused
from parallelm.mlops._delivery.host_process.forking import no_fork
from parallelm.mlops._delivery.spool.files import State, TopicEnd, read_records, segments
from parallelm.schemas.topic_admin import log_offsets
from parallelm.schemas.topic_reader import read_to_end, reader_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from parallelm.connections.settings import KafkaSettings
    from parallelm.mlops._delivery.drops import DropCounter
    from parallelm.mlops._delivery.encoding.encoded import EncodedRecord

_log = logging.getLogger("parallelm.mlops")

_LOOK_INTERVAL_S = 10.0
_POLL_S = 0.05
_REQUEST_TIMEOUT_S = 5.0
_SCAN_TIMEOUT_S = 30.0
_MAX_READY = 50
_SETTLE_S = 1.0
"""How long the last request of a dead process may take to reach the broker's log."""


class LeftBehind:
    """The folder of a dead process, locked by this one."""

    def __init__(self, folder: Path, state: State) -> None:
        self.folder = folder
        self.state = state
        self.handed = 0
        """Counted by the replaying thread."""
        self.settled = 0
        """Counted by the sender thread."""

    def settle(self, _partition: int | None, _offset: int) -> None:
        """One of its records has arrived, or can never be sent."""
        self.settled += 1


class Replay(threading.Thread):
    """Looks for folders of dead processes at the start and every ten seconds; replays one at a time."""

    def __init__(
        self,
        kafka: KafkaSettings,
        folder: Path,
        topics: Sequence[str],
        begin: Callable[[State], None],
        progress: Callable[[], None],
        dropped: DropCounter,
    ) -> None:
        super().__init__(name="mlops-spool", daemon=True)
        self._kafka = kafka
        self._folder = folder
        self._topics = topics
        self._begin = begin
        self._progress = progress
        self._dropped = dropped
        self._ready: deque[EncodedRecord] = deque()
        self._stopping = threading.Event()
        self._searched = threading.Event()
        self._taken: dict[str, FileLock] = {}
        self._log_limit = RateLimit()

    @property
    def busy(self) -> bool:
        """Whether something may still have to be sent."""
        return not self._searched.is_set()

    def take(self) -> EncodedRecord | None:
        """The next record to send, for the sender thread."""
        return self._ready.popleft() if self._ready else None

    def stop(self) -> None:
        """Stop passing records on."""
        self._stopping.set()
        self._ready.clear()

    def release(self) -> None:
        """Release the locks so that another process can replay the rest.

        Only after the producer was closed, when no request of it can be in flight.
        """
        if self.is_alive():
            self.join(2 * _REQUEST_TIMEOUT_S)
        for lock in list(self._taken.values()):
            lock.release()

    def leave_to_parent(self) -> None:
        """In a forked child: the locks are the parent's."""
        for lock in list(self._taken.values()):
            lock.forget()

    def run(self) -> None:
        """Replay until asked to stop."""
        pause_s, begun = 0.0, False
        while not self._stopping.wait(pause_s):
            try:
                if not begun:
                    self._begin(self._ends())
                    begun = True
                self._replay_all()
                self._searched.set()
                pause_s = _LOOK_INTERVAL_S
            except Exception as error:  # noqa: BLE001 - clients and disks raise as they like; it is tried again
                self._log_retry(error)
                pause_s = RETRY_S

    # ---- taking over --------------------------------------------------------------------------------------------

    def _replay_all(self) -> None:
        found = self._lock_all()
        if not found:
            return
        self._searched.clear()
        try:
            now = self._ends()
            if any(left.state.ends is not None for left in found):
                self._stopping.wait(_SETTLE_S)
                now = self._ends()
            while found:
                there = self._already_there(found[0], now)
                left = found.pop(0)
                if there is None:
                    self._release(left.folder)
                else:
                    self._send_missing(left, there)
        finally:
            for left in found:
                self._release(left.folder)

    def _lock_all(self) -> list[LeftBehind]:
        """Folders of dead processes that are for this platform, now locked."""
        found = []
        for folder in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if not folder.is_dir() or folder.name in self._taken:
                continue
            lock = FileLock(folder.with_name(f"{folder.name}{LOCK}"))
            if lock.acquire():
                self._taken[folder.name] = lock
                if (left := self._read_state(folder)) is not None:
                    found.append(left)
        remove_unused(self._folder, lambda name: (self._folder / name).exists())
        return found

    def _read_state(self, folder: Path) -> LeftBehind | None:
        if not segments(folder):  # another has just sent it, or its process died before the first record
            shutil.rmtree(folder, ignore_errors=True)
            self._release(folder, remove=True)
            return None
        try:
            state = State.load(folder)
        except (OSError, ValueError) as error:
            self._log_retry(error)
        else:
            if state.topic_prefix == self._kafka.topic_prefix:
                return LeftBehind(folder, state)
        self._release(folder)
        return None

    def _release(self, folder: Path, *, remove: bool = False) -> None:
        self._taken.pop(folder.name).release(remove=remove)

    def _send_missing(self, left: LeftBehind, there: set[bytes]) -> None:
        """Send what has not arrived. The folder is removed when all has; its lock is held until the producer is closed."""
        for record in read_records(left.folder, self._dropped):
            if _digest(record.value) in there:
                continue
            while len(self._ready) >= _MAX_READY and not self._stopping.wait(_POLL_S):
                pass
            if self._stopping.is_set():
                return
            left.handed += 1
            self._ready.append(record._replace(settled=left.settle))
        while left.settled < left.handed:
            if self._stopping.wait(_POLL_S):
                return
        shutil.rmtree(left.folder, ignore_errors=True)
        self._release(left.folder, remove=not left.folder.exists())
        _log.info("%d records of an earlier process were sent from the spool", left.handed)

    def _already_there(self, left: LeftBehind, now: State) -> set[bytes] | None:
        """Digests of its records that the topics already hold; None when they belong to another cluster."""
        if left.state.ends is None:
            now.save(left.folder)
            return set()
        if left.state.cluster_id != now.cluster_id:
            return None
        ranges = dict(_ranges(left.state.ends, now.ends or {}))
        if not ranges:
            return set()
        with no_fork:
            from confluent_kafka import Consumer
        consumer = Consumer(reader_config(self._kafka, "mcenter-spool", isolation_level="read_uncommitted"))
        try:
            return self._scan(consumer, ranges, left.folder.name.encode())
        finally:
            consumer.close()

    def _scan(self, consumer: Any, ranges: dict[tuple[str, int], range], producer_id: bytes) -> set[bytes]:
        """Digests of the records of ``producer_id``, in ``ranges``."""
        from confluent_kafka import TopicPartition

        consumer.assign([TopicPartition(*partition, offsets[0]) for partition, offsets in ranges.items()])
        found: set[bytes] = set()
        ends = {partition: offsets[-1] + 1 for partition, offsets in ranges.items()}
        for message in read_to_end(consumer, ends, _SCAN_TIMEOUT_S, self._check_stopping):
            value = message.value() or b""  # another producer's tombstone has none
            if producer_id in value:
                found.add(_digest(value))
            self._progress()
        return found

    def _check_stopping(self) -> None:
        if self._stopping.is_set():
            raise TimeoutError("stopped before the topics were read to their ends")

    def _ends(self) -> State:
        """Where partitions end now."""
        with no_fork:
            from confluent_kafka.admin import AdminClient, OffsetSpec

        admin = AdminClient(client_config(self._kafka) | {"log_level": 2})
        cluster = admin.list_topics(timeout=_REQUEST_TIMEOUT_S)
        places = [
            (topic, partition)
            for topic in self._topics
            if topic in cluster.topics
            for partition in cluster.topics[topic].partitions
        ]
        offsets: dict[str, dict[int, int]] = {topic: {} for topic in self._topics}
        for (topic, partition), end in log_offsets(
            admin, places, OffsetSpec.latest(), _REQUEST_TIMEOUT_S
        ).items():
            offsets[topic][partition] = end
        ends = {topic: TopicEnd(len(found), found) for topic, found in offsets.items()}
        return State(self._kafka.topic_prefix, cluster.cluster_id or "", ends)

    def _log_retry(self, error: Exception) -> None:
        if self._log_limit.allows():
            _log.warning("the spool %s waits, and is tried again: %s", self._folder, error)


def _ranges(
    then: Mapping[str, TopicEnd], now: Mapping[str, TopicEnd]
) -> Iterator[tuple[tuple[str, int], range]]:
    """(topic, partition) and offsets that have to be read."""
    for topic, end in now.items():
        before = then.get(topic, TopicEnd(0, {}))
        for partition, last in end.offsets.items():
            if partition not in before.offsets and before.partitions == end.partitions:
                continue
            first = before.offsets.get(partition, 0)
            if first > last:  # the topic was recreated
                first = 0
            if first < last:
                yield (topic, partition), range(first, last)


def _digest(value: bytes) -> bytes:
    """Digest of a record. Each contains its producer id and number, so no two are equal."""
    return hashlib.blake2b(value, digest_size=16).digest()
