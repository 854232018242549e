"""A line of the contract: one call of the public API, what stand-alone prints of it, and what it answers in both modes.

The tables of lines are in ``*_lines.py``; ``walk.py`` runs them in a component of its own, ``test_lines.py`` judges.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from parallelm.mlops import MLOps

if TYPE_CHECKING:
    from collections.abc import Callable

THE_SAME: Final = object()
FIRST_MOMENT_S: Final = 1_356_998_400
"""2013-01-01: from then on every line has its own minute, which identifies its rows."""
MINUTE_S: Final = 60
FIRST, LAST = datetime(2013, 1, 1), datetime(2013, 1, 3)  # noqa: DTZ001 - components pass naive ones
"""The walk lies between them."""
REFUSED: Final = "MLOpsException"
_now = {"moment_s": FIRST_MOMENT_S}


@dataclass(frozen=True, slots=True)
class Line:
    """One call. What it answers is compared as JSON; an exception is its answer by its name."""

    call: Callable[[], Any]
    prints: str | tuple[str, ...] = ()
    """Each line that stand-alone prints, without its time and the space at its end; "…" leaves the rest open. A line that
    is not of the walk's moment starts with its distance from it in seconds: ``+1.5 s``."""
    answers: Any = None
    connected: Any = THE_SAME
    """What it answers on the platform, where that is another answer."""
    adds: tuple[str, ...] = ()
    """What becomes rows besides what stand-alone prints, in the same form."""
    asks: bool = False
    """It is called when the rows of all lines that do not ask are there."""


def moment_s() -> int:
    """Event time that the walk gives to the line that runs, in seconds since the epoch."""
    return _now["moment_s"]


def moment(seconds_after: float = 0) -> datetime:
    """As ``moment_s``, as components have their times: without a zone."""
    return datetime.fromtimestamp(moment_s() + seconds_after, UTC).replace(tzinfo=None)


def start(index: int) -> int:
    """Begin the minute of a line; its first second."""
    _now["moment_s"] = FIRST_MOMENT_S + index * MINUTE_S
    return moment_s()


def scalar(name: str, value: Any, mode: str = "TIME_SERIES") -> str:
    """What stand-alone prints of one number."""
    return f"{name}, LINEGRAPH, {mode}, {{{name!r}: {value!r}}}"


def as_json(answer: Any) -> str:
    """An answer in comparable form: frames by their records, arrays by their elements, ``mlops`` as itself."""
    return json.dumps(answer, default=_plain)


def _plain(answer: Any) -> Any:
    if isinstance(answer, MLOps):
        return "mlops"
    if hasattr(answer, "to_json"):
        return json.loads(answer.to_json(orient="records", date_format="iso"))
    if hasattr(answer, "tolist"):
        return answer.tolist()
    return repr(answer)
