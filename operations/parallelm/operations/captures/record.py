"""What is known of a capture beside its file: of what it is, how far its making is, and how large it became."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any


class CaptureState(StrEnum):
    """State of a capture; the original's names are ``In Progress``, ``Complete`` and ``Failed``."""

    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    FAILED = "failed"
    EXPIRED = "expired"
    """Complete, and older than the retention allows: its file goes at the next chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRecord:
    """A capture; one JSON file in the store."""

    capture_id: str
    name: str
    mlapp_id: str
    start_ms: int
    """First millisecond of its event times."""
    end_ms: int
    """The one after the last."""
    created_by: str
    created_at_ms: int
    state: CaptureState = CaptureState.IN_PROGRESS
    share: float = 0.0
    """Of its making, 0 to 1."""
    step: str = ""
    """What is being done."""
    reason: str = ""
    """Why it failed."""
    updated_at_ms: int = 0
    """When its maker last reported."""
    host: str = ""
    """Where its maker runs."""
    pid: int = 0
    started_at_s: float = 0.0
    """When the maker's process began: process ids are used again."""
    size_bytes: int = 0
    sha256: str = ""
    """Of the file."""
    rows: dict[str, int] = field(default_factory=dict)
    """By table."""

    def to_json(self) -> str:
        """Text of the file."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)


def parse_record(text: str) -> CaptureRecord:
    """Inverse of ``to_json``; raises ``ValueError`` for what is none."""
    given: Any = json.loads(text)
    try:
        known = {each.name for each in fields(CaptureRecord)}
        values = {name: value for name, value in given.items() if name in known}
        return CaptureRecord(**values | {"state": CaptureState(values["state"])})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"it is no capture's record: {error}") from error
