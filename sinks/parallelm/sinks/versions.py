"""Rows of compacted topics: each record is a version of its key, and a tombstone its removal."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, NamedTuple

from parallelm.sinks.columns import Columns


class Version(NamedTuple):
    """A record, or with ``is_deleted`` a tombstone."""

    record: Any
    is_deleted: bool


IS_DELETED = Columns({"is_deleted": attrgetter("is_deleted")})


def version_of(record: Any) -> list[Version]:
    """Row source of a record."""
    return [Version(record, is_deleted=False)]
