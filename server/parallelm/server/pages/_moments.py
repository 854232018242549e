"""Moments in the addresses of pages: anybody may write any number there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from parallelm.server.problems import ApiProblemError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = date(1900, 1, 1), date(2299, 1, 1)
"""What a DateTime64 can hold, with room for the weeks around a day."""


def moment_of(at_ms: int | str) -> datetime:
    """Of milliseconds since 1970; answers 422 for what no row can have."""
    try:
        moment = _EPOCH + timedelta(milliseconds=int(at_ms))
    except OverflowError:
        raise _unknown(f"{at_ms} ms since 1970") from None
    day_of(moment.date())
    return moment


def day_of(day: date) -> date:
    """The day itself; answers 422 for one that nothing can be of."""
    if not _FIRST <= day <= _LAST:
        raise _unknown(str(day))
    return day


def _unknown(what: str) -> ApiProblemError:
    return ApiProblemError(
        422,
        "invalid-request",
        f"the address names the moment {what}; it must be between {_FIRST} and {_LAST}: leave it out to begin anew",
    )
