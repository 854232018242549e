"""What one chart shows, and what all charts have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from parallelm.server.charts.packing import compact, packed
from parallelm.server.charts.pieces import Pieces, without_known

MOST_POINTS: Final = 2_000
"""Of one line."""
BRUSH: Final[dict[str, Any]] = {
    "itemSize": 0,
    # weakFilter: what began before the range and ends after it stays.
    "feature": {
        "dataZoom": {"yAxisIndex": "none", "filterMode": "weakFilter", "title": {"zoom": "", "back": ""}}
    },
}
"""Lets dragging choose a range of the x axis. Its buttons, which it cannot be without, have no size."""
_MOST_KNOWN: Final = 4_000
MOST_TABLE_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class Drawing:
    """One chart."""

    summary: str
    option: dict[str, Any] | None = None
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    """Of the table; a cell with a link is ``{"text": …, "link": …}``."""
    zoom: bool = False
    height: int | None = None
    """In pixels, where the chart has another than the page gives it."""
    notes: Sequence[str] = field(default=())
    """What is not shown, and why."""
    shows: Sequence[str] | None = None
    """Names of the statistics that are drawn, where its address does not say them."""
    newer: Mapping[str, Any] | None = None
    """By which ``changes.json`` knows what is drawn, where it can tell what is new in it; see ``lines.newer_points``."""
    in_pieces: bool = False
    """Data come and go while somebody looks: an update has those that are new."""

    def answer(self, request: Request, zone: str = "UTC") -> Response:
        """As ``charts.js`` takes it; the table only where it is asked for (``table=1``), or is all there is."""
        with_table = self.option is None or "table" in request.query_params
        known = request.query_params.get("known", "")[:_MOST_KNOWN].split(".")
        return packed(request, self.as_json(zone, with_table=with_table, known=known))

    def as_json(self, zone: str = "UTC", *, with_table: bool = False, known: Sequence[str] = ()) -> str:
        """The text of an answer, without what the browser has: ``known`` as for ``pieces.without_known``."""
        option, digests, pieces = self.option, list[str](), Pieces()
        if option is not None and isinstance(option.get("series"), list):
            series, digests, pieces = without_known(option["series"], known, in_pieces=self.in_pieces)
            option = option | {"series": series}
        table = {"columns": list(self.columns), "rows": self.rows[:MOST_TABLE_ROWS], "total": len(self.rows)}
        body = {
            "option": option,
            "digests": digests,
            "pieces": pieces if self.in_pieces else None,
            "shows": None if self.shows is None else list(self.shows),
            "summary": ". ".join((self.summary, *self.notes)),
            "notes": list(self.notes),
            "has_table": bool(self.columns),
            "table": table if with_table and self.columns else None,
            "zoom": self.zoom,
            "zone": zone,
            "height": self.height,
            "newer": self.newer,
        }
        return compact(body)


def nothing(text: str) -> Drawing:
    """A chart without data: says so."""
    return Drawing(text)


def finite(value: float | None) -> float | None:
    """A number as JSON can hold it; a gap for any other."""
    return value if value is not None and math.isfinite(value) else None


def wall_ms(times_ms: Iterable[int], zone: str) -> list[int]:
    """What the clock of a zone shows at these moments, in milliseconds as if it showed UTC."""
    import numpy as np
    import pandas as pd

    moments = np.fromiter(times_ms, dtype=np.int64)
    if zone == "UTC" or not moments.size:
        return [int(each) for each in moments]
    index = pd.DatetimeIndex(moments.view("datetime64[ms]")).tz_localize("UTC").tz_convert(zone)
    return [int(each) for each in index.tz_localize(None).astype("datetime64[ms]").astype(np.int64)]


def wall_text(wall: int) -> str:
    """A time of ``wall_ms`` in a table."""
    from datetime import UTC, datetime, timedelta

    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=wall):%Y-%m-%d %H:%M:%S}"


def series_colour(number: int) -> str:
    """Colour of the n-th line."""
    return f"var(--series-{number % 8 + 1})"


def time_axis(start: int | None = None, end: int | None = None, **more: Any) -> dict[str, Any]:
    """A time axis in the viewer's clock."""
    bounds = {"min": start, "max": end}
    labels = {"hideOverlap": True}
    return {
        "type": "time",
        "axisLabel": labels,
        **{key: value for key, value in bounds.items() if value is not None},
        **more,
    }


def value_axis(name: str = "", **more: Any) -> dict[str, Any]:
    """An axis of numbers that need not begin at 0."""
    return {
        "type": "value",
        "scale": True,
        "name": name,
        "nameLocation": "end",
        "axisLabel": {"formatter": "short"},
        **more,
    }


def frame(**more: Any) -> dict[str, Any]:
    """Margins that leave room for labels, and a tooltip."""
    return {
        "grid": {"left": 8, "right": 14, "top": 26, "bottom": 6, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True, "valueFormatter": "short"},
        **more,
    }


def legend(names: Sequence[str]) -> dict[str, Any]:
    """On top, scrolled where there is no room; none for one line."""
    return {
        "type": "scroll",
        "top": 0,
        "left": 0,
        "itemWidth": 14,
        "itemHeight": 12,
        "data": list(names),
        "show": len(names) > 1,
    }
