"""The spool: an optional folder on disk (``spool_folder``) where every record is stored before it goes to Kafka.

Layout: ``<spool_folder>/<producer_id>/`` holds segment files and ``state.json``; the living process holds a lock on
``<producer_id>.lock`` beside it. A segment is a sequence of frames, each with its length and CRC-32.

Each record arrives once, whenever a process dies, by this protocol:

1. A record is written to a segment before librdkafka gets it. A segment is deleted when all its records have arrived.
2. Before the first record goes to librdkafka, ``state.json`` stores the end offset of each partition. These offsets
   advance with the oldest segment: no record of the remaining segments can lie before them.
3. A process that finds the folder of a dead process takes its lock, and reads the partitions from those offsets to
   their end. It skips the records that have arrived, and sends the others with the same bytes. If it dies too, the
   next process starts from the same offsets. Within one process librdkafka's idempotence prevents duplicates.

The files are fsynced once a second and when a segment ends: ``kill -9`` loses nothing that was written, a power cut at
most the last second. What cannot be written (disk full, bound reached, no permission) is sent without the spool.

Limits: a request of the dead process that a broker accepts after the reading began (a second after a broker
answered), and records that retention deleted before they could be read, may arrive twice.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from parallelm.connections.rate_limit import RateLimit
from parallelm.mlops._delivery import drops
from parallelm.mlops._delivery.broker_away import RETRY_S
from parallelm.mlops._delivery.file_lock import LOCK, FileLock
from parallelm.mlops._delivery.spool.files import (
    SUFFIX,
    DamagedError,
    State,
    TopicEnd,
    encode_frame,
    read_frame,
    sync_folder,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.mlops._delivery.drops import DropCounter
    from parallelm.mlops._delivery.encoding.encoded import EncodedRecord

_log = logging.getLogger("parallelm.mlops")

_SEGMENT_BYTES = 4 << 20
_SEGMENT_AGE_S = 60.0
_SYNC_INTERVAL_S = 1.0
_MEASURE_INTERVAL_S = 0.1


class _Segment:
    """One file of frames."""

    def __init__(self, path: Path, ends: Mapping[str, TopicEnd] | None) -> None:
        self.path = path
        self.ends = ends
        binary: int = getattr(os, "O_BINARY", 0)  # where line ends would be written as two bytes
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | binary
        self.descriptor = os.open(path, flags, 0o600)
        self.opened = time.monotonic()
        self.size_bytes = 0
        self.unread = 0
        self.unsettled = 0

    def append(self, frame: bytes) -> None:
        """Write one frame completely or not at all."""
        written = 0
        try:
            written = os.write(self.descriptor, frame)
        finally:
            if written != len(frame):
                os.ftruncate(self.descriptor, self.size_bytes)
        if written != len(frame):
            raise OSError(f"no room for {len(frame)} bytes in {self.path}")
        self.size_bytes += len(frame)
        self.unread += 1
        self.unsettled += 1


class Spool:
    """The part of the spool that this process writes. For the sender thread only, except ``begin``.

    No method raises because of the disk.
    """

    def __init__(
        self, folder: Path, producer_id: str, topic_prefix: str, max_bytes: int, dropped: DropCounter
    ) -> None:
        self._root = folder
        self._folder = folder / producer_id
        self._lock = FileLock(folder / f"{producer_id}{LOCK}")
        self._topic_prefix = topic_prefix
        self._max_bytes = max_bytes
        self._segment_bytes = min(_SEGMENT_BYTES, max_bytes // 8)
        self._dropped = dropped
        self._segments: deque[_Segment] = deque()
        self._writing: _Segment | None = None
        self._reading: _Segment | None = None
        self._reader: BinaryIO | None = None
        self._number = 0
        self._made = False
        self._log_limit = RateLimit()
        self._retry_at = self._synced = time.monotonic()
        self._used_bytes = 0
        self._measured_at = -_MEASURE_INTERVAL_S
        self._given: State | None = None
        self._cluster_id = ""
        self._ends: dict[str, TopicEnd] | None = None

    def begin(self, state: State) -> None:
        """Store the current end offsets of partitions; records may be sent from then on. From any thread."""
        self._given = state

    @property
    def unsettled(self) -> int:
        """Number of records that have not arrived."""
        return sum(segment.unsettled for segment in list(self._segments))

    def has_room(self) -> bool:
        """Whether the last write succeeded, or failed long enough ago to try again."""
        return time.monotonic() >= self._retry_at

    def append(self, record: EncodedRecord) -> bool:
        """Store a record; False when it cannot be stored."""
        if not self.has_room():
            return False
        frame = encode_frame(record)
        try:
            self._make_room(len(frame))
            self._segment().append(frame)
        except OSError as error:
            self._retry_at = time.monotonic() + RETRY_S
            if self._log_limit.allows():
                _log.warning(
                    "the spool %s cannot be written now, reports wait in memory: %s", self._root, error
                )
            return False
        self._used_bytes += len(frame)
        return True

    def take(self) -> EncodedRecord | None:
        """The oldest record that was not taken yet; None when there is none that may be sent."""
        if not self._segments or not self._may_send():
            return None
        while True:
            if self._reading is None:
                self._reading = next((one for one in self._segments if one.unread), None)
                if self._reading is None:
                    return None
                self._reader = None
            segment = self._reading
            if segment.unread:
                try:
                    return self._read(segment)
                except (OSError, DamagedError) as error:
                    self._give_up(segment, error)
            if segment is self._writing:
                return None
            self._close_reader()

    def tend(self) -> None:
        """Once a second: fsync. Once a minute: delete segments whose records have all arrived."""
        now, segment = time.monotonic(), self._writing
        if segment is None or now - self._synced < _SYNC_INTERVAL_S:
            return
        self._synced = now
        try:
            if now - segment.opened > _SEGMENT_AGE_S:
                self._drop_settled()
            elif segment.unsettled:
                os.fsync(segment.descriptor)
        except OSError as error:
            _log.debug("the spool %s: %s", self._root, error)

    def close(self) -> None:
        """Close the files; what has not arrived stays for the next process, and an empty folder is removed."""
        self._close_reader()
        try:
            if self._writing is not None:
                self._end_segment()
            if self._made and not self._segments:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._lock.release(remove=True)
        except OSError as error:
            _log.debug("the spool %s: %s", self._root, error)
        self._lock.release()

    def leave_to_parent(self) -> None:
        """In a forked child: the files and the lock are the parent's."""
        self._lock.forget()
        if self._writing is not None:
            os.close(self._writing.descriptor)
            self._writing = None

    # ---- within -------------------------------------------------------------------------------------------------

    def _make_room(self, size_bytes: int) -> None:
        """Raise ``OSError`` when all processes together would exceed the bound."""
        now = time.monotonic()
        if now - self._measured_at >= _MEASURE_INTERVAL_S:
            self._measure(now)
        if self._used_bytes + size_bytes > self._max_bytes:
            self._drop_settled()
            self._measure(now)
        if self._used_bytes + size_bytes > self._max_bytes:
            raise OSError(f"it holds its {self._max_bytes >> 20} MB (spool_max_mbytes)")

    def _measure(self, now: float) -> None:
        self._used_bytes = sum(_size(entry) for entry in os.scandir(self._root)) if self._root.is_dir() else 0
        self._measured_at = now

    def _segment(self) -> _Segment:
        if not self._made:
            self._root.mkdir(parents=True, exist_ok=True)
            if not self._lock.acquire():
                raise OSError(f"{self._folder} is locked by another")
            self._folder.mkdir(mode=0o700, exist_ok=True)
            State(self._topic_prefix, "", None).save(self._folder)
            self._made = True
        if self._writing is not None and self._writing.size_bytes >= self._segment_bytes:
            self._end_segment()
        if self._writing is None:
            if not self._segments and self._ends is not None:
                self._save(self._ends)
            path = self._folder / f"{self._number:08d}{SUFFIX}"
            self._number += 1
            self._writing = _Segment(path, _copy(self._ends))
            self._segments.append(self._writing)
            sync_folder(self._folder)
        return self._writing

    def _end_segment(self) -> None:
        segment, self._writing = self._writing, None
        if segment is None:
            return
        try:
            os.fsync(segment.descriptor)
        finally:
            os.close(segment.descriptor)
            if not segment.unsettled:
                self._remove(segment)

    def _drop_settled(self) -> None:
        if self._writing is not None and not self._writing.unsettled:
            self._end_segment()

    def _remove(self, segment: _Segment) -> None:
        was_oldest = self._segments[0] is segment
        self._segments.remove(segment)
        if segment is self._reading:
            self._close_reader()
        segment.path.unlink()
        if was_oldest and self._segments and (ends := self._segments[0].ends) is not None:
            self._save(ends)

    def _may_send(self) -> bool:
        """Write the end offsets to disk, before which nothing may be sent."""
        if self._ends is None and (given := self._given) is not None:
            self._cluster_id = given.cluster_id
            try:
                self._save(given.ends or {})
            except OSError as error:
                _log.debug("the spool %s: %s", self._root, error)
                return False
            self._ends = _copy(given.ends or {})
            for segment in self._segments:
                segment.ends = given.ends
        return self._ends is not None

    def _save(self, ends: Mapping[str, TopicEnd]) -> None:
        State(self._topic_prefix, self._cluster_id, ends).save(self._folder)

    def _read(self, segment: _Segment) -> EncodedRecord:
        if self._reader is None:
            self._reader = segment.path.open("rb")
        record = read_frame(self._reader)
        if record is None:
            raise DamagedError(f"{segment.unread} records are missing at the end of {segment.path}")
        segment.unread -= 1
        return record._replace(settled=partial(self._settle, segment, record.topic, bool(record.key)))

    def _give_up(self, segment: _Segment, error: Exception) -> None:
        self._dropped.add(drops.SPOOL_DAMAGED, {"record in the spool": segment.unread}, str(error))
        segment.unsettled -= segment.unread
        segment.unread = 0
        self._close_reader()
        if segment is self._writing:
            self._end_segment()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = self._reading = None

    def _settle(self, segment: _Segment, topic: str, keyed: bool, partition: int | None, offset: int) -> None:
        end = self._ends.get(topic) if self._ends is not None else None
        if (
            partition is not None and offset >= 0 and end is not None
        ):  # a resent batch may not know its offset
            if (
                keyed and len(end.offsets) == end.partitions
            ):  # a key has one partition: the others do not matter
                end.offsets.clear()
            end.offsets[partition] = offset + 1
        segment.unsettled -= 1
        if not segment.unsettled and segment is not self._writing:
            try:
                self._remove(segment)
            except OSError as error:
                _log.debug("the spool %s: %s", self._root, error)


def _copy(ends: Mapping[str, TopicEnd] | None) -> dict[str, TopicEnd] | None:
    if ends is None:
        return None
    return {topic: TopicEnd(end.partitions, dict(end.offsets)) for topic, end in ends.items()}


def _size(entry: os.DirEntry[str]) -> int:
    try:
        if entry.is_dir():
            return sum(file.stat().st_size for file in os.scandir(entry.path))
        return entry.stat().st_size
    except FileNotFoundError:  # another process has just removed it
        return 0
