"""Durations as people write them: ``3d``, ``15m``, ``1h30m``."""

from __future__ import annotations

import re

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


def format_duration(duration_ms: float) -> str:
    """Shortest form of a duration: 90 minutes are ``1h30m``; fractions of a millisecond are cut."""
    rest = int(duration_ms)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _UNITS_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
