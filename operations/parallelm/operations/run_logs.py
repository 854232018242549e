"""What the program of a run has written, a part at a time, also while it is being written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from parallelm.operations.runs import find_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.connections import Settings

_FOLLOWED_EVERY_S: Final = 1.0
_AT_ONCE: Final = 5_000
_LAST_LINES_S: Final = 15.0
"""After its end: agents send lines by a way of their own, which may take longer than the news that a run has ended."""


class LogPlace(NamedTuple):
    """A line of a run's log; as a text ``attempt.line``."""

    attempt: int
    line: int

    @classmethod
    def of(cls, text: str | None) -> LogPlace | None:
        """The place that a text names; None for no text."""
        if not text:
            return None
        attempt, line = text.split(".")
        return cls(int(attempt), int(line))

    def __str__(self) -> str:
        return f"{self.attempt}.{self.line}"


BEGIN: Final = LogPlace(0, 0)


@dataclass(frozen=True, slots=True)
class LogPart:
    """Lines of a run, in their order."""

    lines: Sequence[Mapping[str, Any]]
    next_place: LogPlace
    """After it follows what is not among them."""
    is_complete: bool
    """Nothing follows: the run has ended some time ago."""


def read_log(
    settings: Settings, run: Mapping[str, Any], *, after: LogPlace | None, limit: int, **chosen: Any
) -> LogPart:
    """The first lines after a place; without one the last ones. ``chosen`` as for ``log_lines``.

    ``run`` is its row from before: lines come before the end of their run.
    """
    from parallelm.warehouse.queries.logs import log_lines

    of_run = {"mlapp_id": run["mlapp_id"], "run_id": run["run_id"]}
    found = log_lines(settings, **of_run, after=after, limit=limit, **chosen)
    place = LogPlace(found[-1]["attempt"], found[-1]["line"]) if found else after or BEGIN
    has_all = after is None or len(found) < limit
    return LogPart(found, place, has_all and _is_over(run))


def written_lines(
    settings: Settings, text: str, *, last: int, search: str | None = None, follow: bool = False
) -> Iterator[Mapping[str, Any]]:
    """The last lines of a run; with ``follow`` also those that are written until it has ended.

    Raises ``UnknownRunError``.
    """
    run = find_run(settings, text)
    part = read_log(settings, run, after=None, limit=last, search=search)
    yield from part.lines
    while follow and not part.is_complete:
        if not part.lines:
            time.sleep(_FOLLOWED_EVERY_S)
        run = find_run(settings, run["run_id"])
        part = read_log(settings, run, after=part.next_place, limit=_AT_ONCE, search=search)
        yield from part.lines


def _is_over(run: Mapping[str, Any]) -> bool:
    return bool(run["has_ended"]) and (datetime.now(UTC) - run["state_since"]).total_seconds() > _LAST_LINES_S
