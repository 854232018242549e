"""Repair of the tables' deduplication logs, at every start before the engine opens the folder.

A MergeTree table with a deduplication window writes the token of an insert to its log first and renames the part
into place after. A process that dies between the two leaves a token without rows: the client repeats the block that
nobody acknowledged, and the engine would drop it as a duplicate. So lines of parts that are not there go.
A part is there as a folder of its name, or inside a merged part that covers its blocks.
"""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_PART = re.compile(r"([^_]+)_(\d+)_(\d+)_(\d+)(?:_(\d+))?")
_LINE = re.compile(r"([12])\t([^\t\n]+)\t([^\t\n]+)\n")
_ADDED = "1"


class Part(NamedTuple):
    """What the name of a part says."""

    partition: str
    first_block: int
    last_block: int
    level: int
    mutation: int

    @classmethod
    def of_name(cls, name: str) -> Self | None:
        """Part of a name such as ``202601_5_8_1``, or None."""
        match = _PART.fullmatch(name)
        if match is None:
            return None
        first, last, level, mutation = (int(number or 0) for number in match.groups()[1:])
        return cls(match[1], first, last, level, mutation)

    def covers(self, other: Part) -> bool:
        """Whether the rows of the other part are in this one."""
        return (
            self.partition == other.partition
            and self.first_block <= other.first_block
            and self.last_block >= other.last_block
            and self.level >= other.level
            and self.mutation >= other.mutation
        )


def repair(data: Path) -> int:
    """Drop the lines of missing parts, and broken lines, from all logs in a data folder; how many were dropped."""
    dropped = 0
    for folder in _log_folders(data):
        parts = {part for entry in folder.parent.iterdir() if (part := Part.of_name(entry.name))}
        for file in sorted(folder.glob("deduplication_log_*.txt")):
            dropped += _repair_file(file, parts, data / "deduplication_log.repaired")
    return dropped


def surviving(lines: Iterable[str], parts: set[Part]) -> list[str]:
    """The lines that say the truth about ``parts``."""
    by_partition: dict[str, list[Part]] = {}
    for part in parts:
        by_partition.setdefault(part.partition, []).append(part)
    return [line for line in lines if _holds(line, parts, by_partition)]


def _holds(line: str, parts: set[Part], by_partition: dict[str, list[Part]]) -> bool:
    match = _LINE.fullmatch(line)
    if match is None:
        return False
    part = Part.of_name(match[2])
    if match[1] != _ADDED or part in parts:
        return True
    return part is not None and any(other.covers(part) for other in by_partition.get(part.partition, ()))


def _log_folders(data: Path) -> Iterator[Path]:
    # store/ab1/ab1…/ of Atomic databases; data/database/table/ of Ordinary ones, links to the first otherwise.
    for folder in [*data.glob("store/*/*/deduplication_logs"), *data.glob("data/*/*/deduplication_logs")]:
        if not folder.parent.is_symlink():
            yield folder


def _repair_file(file: Path, parts: set[Part], temporary: Path) -> int:
    # Latin-1 keeps every byte as it is.
    with file.open(encoding="latin-1", newline="\n") as opened:
        lines = list(opened)
    remaining = surviving(lines, parts)
    dropped = len(lines) - len(remaining)
    if not dropped:
        return 0
    log.warning("%s: %d of %d lines belong to no part and are dropped", file, dropped, len(lines))
    if remaining == lines[: len(remaining)]:
        # The usual case, and the one that works on a full disk.
        os.truncate(file, sum(map(len, remaining)))
    else:
        # Not beside the log: the engine reads every file there as one.
        temporary.write_text("".join(remaining), encoding="latin-1", newline="\n")
        temporary.replace(file)
    return dropped
