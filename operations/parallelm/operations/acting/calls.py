"""How paths, waits and times are written in calls of the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

_PREFIX: Final = "/api/v1"
_LONGEST_WAIT_S: Final = 60.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def path_of(*parts: str) -> str:
    """A path of the API; each part is one segment, whatever is in it."""
    return _PREFIX + "".join(f"/{quote(part, safe='')}" for part in parts)


def wait_s(timeout_s: float) -> dict[str, float]:
    """How long a server waits for the processors, as it takes that: a minute at most."""
    return {"wait_s": min(timeout_s, _LONGEST_WAIT_S)}


def ms_of(moment: str) -> int:
    """Milliseconds since 1970 of a time in an answer."""
    return (datetime.fromisoformat(moment) - _EPOCH) // timedelta(milliseconds=1)


def moment_of(at_ms: int) -> str:
    """A time in a question."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
