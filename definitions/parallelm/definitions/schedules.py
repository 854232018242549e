"""Schedules of nodes: cron expressions of five fields, as Debian's cron reads them."""

from __future__ import annotations

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_QUARTZ_FIELDS = (6, 7)


def check_schedule(text: object) -> object:
    """``text`` when it is empty or a cron expression; raises ``ValueError`` that names the field at fault.

    What is not text is returned as it is: its type is reported elsewhere.
    """
    if not isinstance(text, str) or not text.strip():
        return text
    fields = text.split()
    if len(fields) != len(_FIELDS):
        hint = ""
        if len(fields) in _QUARTZ_FIELDS:
            hint = (
                "; a Quartz expression is written without its fields for seconds and year, and with * for ?"
            )
        raise ValueError(
            f"{text!r} has {len(fields)} fields, a cron expression has five ({', '.join(_FIELDS)}){hint}"
        )
    for position, name in enumerate(_FIELDS):
        alone = ["*"] * len(_FIELDS)
        alone[position] = fields[position]
        if not _can_be_read(" ".join(alone)):
            hint = "; write * for ?" if "?" in fields[position] else ""
            raise ValueError(f"{fields[position]!r} is not a {name} of a cron expression{hint}")
    if not _can_be_read(text) or not _ever_comes(text):
        raise ValueError(f"{text!r} never comes: no month has such a day")
    return text


def _can_be_read(expression: str) -> bool:
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError):
        return False
    return True


def _ever_comes(expression: str) -> bool:
    return next(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)), None) is not None
