"""Runs on the Timeline of an MLApp: a lane a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from parallelm.server.charts.lanes import Bar
from parallelm.server.charts.lines import Window
from parallelm.server.pages._rows import rows
from parallelm.warehouse.queries import Keyset, runs
from parallelm.warehouse.queries.node_runs import runs_span

if TYPE_CHECKING:
    from parallelm.connections import Settings

MOST_RUNS: Final = 300
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLOURS: Final = {
    "failed": "var(--critical)", "lost": "var(--critical)", "unreachable": "var(--critical)", "missed": "var(--warning)",
    "waiting": "var(--warning)", "succeeded": "var(--good)",
}  # fmt: skip


def window_with_runs(settings: Settings, mlapp_id: str, window: Window) -> Window:
    """``window``, or where nothing was reported the time of its runs."""
    if window.start_ms is not None and window.end_ms is not None:
        return window
    first_ms, last_ms = runs_span(settings, mlapp_id) or (None, None)
    start_ms = first_ms if window.start_ms is None else window.start_ms
    end_ms = last_ms if window.end_ms is None else window.end_ms
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        end_ms = start_ms + 1
    return Window(start_ms, end_ms)


def run_bars(
    settings: Settings, mlapp_id: str, window: Window, explained: Callable[[str], str]
) -> tuple[list[Bar], tuple[str, ...]]:
    """The latest runs of a window, the earliest first, and a note where there are more; ``explained`` gives the address of a run's explanation."""
    if window.start_ms is None or window.end_ms is None:
        return [], ()
    start, end = (_EPOCH + timedelta(milliseconds=each) for each in (window.start_ms, window.end_ms))
    page = Keyset(order=("due_at", "run_id"), descending=True, limit=MOST_RUNS + 1)
    found = rows(runs(settings, mlapp_id=mlapp_id, start=start, end=end, page=page))
    notes = (f"only the latest {MOST_RUNS} runs of this time are shown",) if len(found) > MOST_RUNS else ()
    return [_bar(row, explained(row["run_id"])) for row in reversed(found[:MOST_RUNS])], notes


def _bar(run: Mapping[str, Any], link: str) -> Bar:
    began, ended = run["started_at"] or run["due_at"], run["ended_at"]
    on = f" on {run['agent_id']}" if run["agent_id"] else ""
    return Bar(
        run["node_id"],
        _ms(began),
        None if ended is None else _ms(ended),
        "" if run["state"] == "succeeded" else run["state"],
        f"{run['node_id']} {run['state']}{on}: {run['reason']}",
        colour=_COLOURS.get(run["state"], "var(--info)"),
        ink="var(--ground)",
        link=link,
    )


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
