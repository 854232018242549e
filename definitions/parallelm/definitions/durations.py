"""Durations as people write them: ``3d``, ``15m``, ``1h30m``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_PART = re.compile(r"(\d+)(ms|s|m|h|d|w)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
MAX_MS = 10 * 366 * _UNITS_MS["d"]
"""Ten years: anything longer is taken to be a mistake."""


def parse_duration(text: object) -> int:
    """Milliseconds of ``text``; raises ``ValueError`` saying what is allowed."""
    if text == 0 and not isinstance(text, bool):
        return 0
    if not isinstance(text, str) or not _WHOLE.fullmatch(text.strip()):
        raise ValueError(
            f"{text!r} is not a duration; write a number with its unit, as in 30s, 15m, 1h30m, 3d or 2w"
        )
    total = sum(int(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text))
    if total > MAX_MS:
        raise ValueError(f"{text!r} is longer than ten years")
    return total


def duration_in(raw: Mapping[str, Any], key: str) -> int | None:
    """A duration as a file has it; None when there is none, or a wrong one, which its form reports."""
    try:
        return parse_duration(raw[key])
    except (KeyError, ValueError):
        return None


def format_duration(duration_ms: float) -> str:
    """Shortest form of a duration: 90 minutes are ``1h30m``; fractions of a millisecond are cut."""
    rest = int(duration_ms)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _UNITS_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def approximate_duration(duration_ms: float) -> str:
    """A measured time as people say it: ``10s`` for 10,012 ms; whole seconds from one second on."""
    return format_duration(duration_ms // 1000 * 1000 if duration_ms >= 1000 else duration_ms)  # noqa: PLR2004 - a second
