"""Files of the spool: segments of frames, and the state beside them. ``spool`` states their purpose."""

from __future__ import annotations

import json
import os
import zlib
from struct import Struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from parallelm.mlops._delivery import drops
from parallelm.mlops._delivery.encoding.encoded import EncodedRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from parallelm.mlops._delivery.drops import DropCounter

_CRC = Struct("<I")
_LENGTHS = Struct("<IHHI")
"""Bytes of value, topic and key, and number of reports."""
_FRAME_HEAD = _CRC.size + _LENGTHS.size
_MAX_VALUE_BYTES = 1 << 20

_STATE = "state.json"
SUFFIX = ".segment"


class DamagedError(Exception):
    """A segment cannot be read any further."""


class TopicEnd(NamedTuple):
    """The offsets from which one topic may hold records of one producer."""

    partitions: int
    """Number of partitions that the topic had."""
    offsets: dict[int, int]
    """First possible offset by partition; only these partitions, unless the topic has more partitions now."""


class State(NamedTuple):
    """The contents of ``state.json``."""

    topic_prefix: str
    cluster_id: str
    ends: Mapping[str, TopicEnd] | None
    """By topic; None as long as no record was handed to librdkafka."""

    def save(self, folder: Path) -> None:
        """Replace the state of a folder, durably."""
        draft = folder / f"{_STATE}.new"
        with draft.open("w", encoding="utf-8") as file:
            json.dump(self._asdict(), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / _STATE)
        sync_folder(folder)

    @classmethod
    def load(cls, folder: Path) -> State:
        """The state of a folder; raises ``OSError`` or ``ValueError`` when there is none that can be read."""
        read = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        try:
            ends = read["ends"] and {
                topic: TopicEnd(int(count), {int(one): int(first) for one, first in offsets.items()})
                for topic, (count, offsets) in read["ends"].items()
            }
            return cls(str(read["topic_prefix"]), str(read["cluster_id"]), ends)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder / _STATE} is not a state of a spool: {error!r}") from error


def encode_frame(record: EncodedRecord) -> bytes:
    """A record as stored in a segment."""
    topic = record.topic.encode()
    lengths = _LENGTHS.pack(len(record.value), len(topic), len(record.key), record.reports)
    body = b"".join((lengths, topic, record.key, record.value))
    return _CRC.pack(zlib.crc32(body)) + body


def read_frame(file: BinaryIO) -> EncodedRecord | None:
    """The next record; None at the end. Raises ``DamagedError`` for an incomplete frame."""
    head = file.read(_FRAME_HEAD)
    if not head:
        return None
    if len(head) == _FRAME_HEAD:
        value_bytes, topic_bytes, key_bytes, reports = _LENGTHS.unpack_from(head, _CRC.size)
        size = topic_bytes + key_bytes + value_bytes
        body = file.read(size) if value_bytes <= _MAX_VALUE_BYTES else b""
        if len(body) == size and zlib.crc32(body, zlib.crc32(head[_CRC.size :])) == _CRC.unpack_from(head)[0]:
            key_end = topic_bytes + key_bytes
            return EncodedRecord(
                body[:topic_bytes].decode(), body[topic_bytes:key_end], body[key_end:], reports
            )
    raise DamagedError(f"{file.name} is cut or damaged")


def segments(folder: Path) -> list[Path]:
    """Segment files of a folder, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_records(folder: Path, dropped: DropCounter) -> Iterator[EncodedRecord]:
    """Records of a folder, in order; of a damaged segment those before the damage, which counts as one drop."""
    for path in segments(folder):
        try:
            with path.open("rb") as file:
                while (record := read_frame(file)) is not None:
                    yield record
        except (OSError, DamagedError) as error:
            dropped.add(drops.SPOOL_DAMAGED, {"segment of the spool": 1}, str(error))


def sync_folder(folder: Path) -> None:
    """Fsync a folder, so that its entries are durable."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
