"""Schedules of nodes: cron expressions of five fields, as Debian's cron reads them, and their time zones."""

from __future__ import annotations

import difflib
import functools
import zoneinfo
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_QUARTZ_FIELDS = (6, 7)
_ZONES_OF_A_HOST = frozenset({"Factory", "localtime", "posixrules"})
"""Each host means another zone by them."""


def check_cron(text: object) -> object:
    """``text`` when it is a cron expression; raises ``ValueError`` that names the field at fault."""
    if not isinstance(text, str):
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


def check_timezone(name: object) -> object:
    """``name`` when it is a time zone; raises ``ValueError`` with the one that was probably meant."""
    if not isinstance(name, str) or name in _zones():
        return name
    by_word = {zone.lower(): zone for zone in _zones()} | {
        zone.rpartition("/")[2].lower(): zone for zone in _zones()
    }
    near = difflib.get_close_matches(name.lower().replace(" ", "_"), by_word, n=1)
    hint = f"did you mean {by_word[near[0]]!r}?" if near else "write UTC or a name such as Europe/Berlin"
    raise ValueError(f"there is no time zone {name!r}; {hint}")


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones() - _ZONES_OF_A_HOST)


def _can_be_read(expression: str) -> bool:
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError):
        return False
    return True


def _ever_comes(expression: str) -> bool:
    return next(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)), None) is not None
