"""Cron expressions of Quartz, which the original platform used, and ours."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cronsim import CronSim

from parallelm.definitions.schedules import check_cron

_LAST_VALUES = {"minute": 59, "hour": 23, "day of month": 31, "month": 12, "day of week": 6}
_FIRST_VALUES = {"minute": 0, "hour": 0, "day of month": 1, "month": 1, "day of week": 0}
_FIELDS = 5
_START_AND_STEP = re.compile(r"([A-Za-z]+|\d+)/(\d+)")
_DAY = re.compile(r"(?<![#/\d])\d+(?!\d)")


def from_quartz(text: str) -> tuple[str, str]:
    """Our expression, and what of it differs; raises ``ValueError`` for what cannot be written here."""
    fields = text.upper().split()
    if len(fields) not in {_FIELDS + 1, _FIELDS + 2}:
        raise ValueError(f"{text!r} has {len(fields)} fields, a Quartz expression has six or seven")
    seconds, *rest = fields
    if len(rest) > _FIELDS and rest.pop() not in {"*", "?"}:
        raise ValueError(f"{text!r} names years, which a schedule cannot")
    if not seconds.isdigit():
        raise ValueError(f"{text!r} runs several times a minute, which a schedule cannot")
    differs = f"it ran {int(seconds)} seconds after the minute" if int(seconds) else ""
    minute, hour, day, month, weekday = rest
    if "W" in day.replace("LW", "") or "L-" in day:
        raise ValueError(
            f"{day!r} counts working days, or back from the end of the month, which a schedule cannot"
        )
    ours = " ".join(
        (
            _steps(minute, "minute"),
            _steps(hour, "hour"),
            _steps("*" if day == "?" else day, "day of month"),
            _steps(month, "month"),
            _steps(_weekday("*" if weekday == "?" else weekday), "day of week"),
        )
    )
    check_cron(ours)
    return ours, differs


def to_quartz(cron: str) -> str:
    """The Quartz expression; raises ``ValueError`` for what it cannot say."""
    minute, hour, day, month, weekday = cron.upper().split()
    if weekday == "*":
        weekday = "?"
    elif day == "*":
        day, weekday = "?", _quartz_weekdays(cron)
    else:
        raise ValueError(f"{cron!r} names both days of the month and of the week, which Quartz cannot")
    return f"0 {minute} {hour} {day} {month} {weekday}"


def _weekday(field: str) -> str:
    """Quartz counts days from 1, a Sunday."""
    if field == "L":
        return "6"
    return _DAY.sub(lambda found: str(int(found[0]) - 1), field)


def _steps(field: str, name: str) -> str:
    """``10/5`` is from 10 on, each fifth."""

    def written(found: re.Match[str]) -> str:
        start, step = found.groups()
        if start == str(_FIRST_VALUES[name]):
            return f"*/{step}"
        return f"{start}-{_LAST_VALUES[name]}/{step}"

    return ",".join(
        _START_AND_STEP.sub(written, part) if "-" not in part else part for part in field.split(",")
    )


def _quartz_weekdays(cron: str) -> str:
    days = CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC)).weekdays
    plain = sorted({day % 7 + 1 for day in days if isinstance(day, int)})
    special = [
        f"{day % 7 + 1}L" if number == CronSim.LAST else f"{day % 7 + 1}#{number}"
        for day, number in sorted(each for each in days if not isinstance(each, int))
    ]
    if len(plain) > 2 and plain == list(range(plain[0], plain[-1] + 1)):  # noqa: PLR2004 - a range saves nothing
        return ",".join([f"{plain[0]}-{plain[-1]}", *special])
    return ",".join([*map(str, plain), *special])
