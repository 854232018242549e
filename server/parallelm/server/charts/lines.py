"""Series over time: a line for the mean of each bucket, and the range between its smallest and largest sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import Any, Final

from parallelm.operations.words import counted
from parallelm.schemas.well_known import FEATURE_LABEL, LINE_LABEL, OVERLAP_LABEL_PREFIX
from parallelm.server.charts.drawing import (
    BRUSH,
    Drawing,
    finite,
    frame,
    legend,
    nothing,
    series_colour,
    time_axis,
    value_axis,
    wall_ms,
    wall_text,
)
from parallelm.server.charts.thinning import thinned
from parallelm.warehouse.queries import Line

MOST_LINES: Final = 20
_FEW_POINTS: Final = 80
LOW, SPAN = " low", " span"
"""Endings of the ids of the two lines that are a range."""


@dataclass(frozen=True, slots=True)
class Window:
    """What the time axis shows, in milliseconds since 1970."""

    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Lines drawn beside others: dashed, and moved in time so that both begin together."""

    name: str
    lines: Sequence[Line] = field(default=())
    later_ms: int = 0


def draw_lines(
    lines: Sequence[Line],
    window: Window,
    zone: str,
    *,
    against: Comparison | None = None,
    named: str = "",
    models: Mapping[str, str] | None = None,
    buckets: tuple[int, int] | None = None,
) -> Drawing:
    """The lines of one statistic; with ``against`` those are named ``named``. ``models`` are names by model id.

    ``buckets``: start of the first and width, where the lines can be told what is new.
    """
    compared = [] if against is None else list(against.lines)
    if not lines and not compared:
        return nothing("Nothing was reported in this time.")
    names = line_names(lines, models)
    shown = [
        _Shown(f"{name} · {named}" if against else name, line, number, 0, False)
        for number, (name, line) in enumerate(zip(names, lines, strict=True))
    ]
    if against:
        places = {name: number for number, name in enumerate(names)}
        for number, (name, line) in enumerate(zip(line_names(compared, models), compared, strict=True)):
            place = places.get(name, len(names) + number)
            shown.append(_Shown(f"{name} · {against.name}", line, place, against.later_ms, True))
    left_out = len(shown) - MOST_LINES
    # Those with most samples say most.
    shown = sorted(
        sorted(shown, key=lambda each: -sum(each.line.samples))[:MOST_LINES], key=lambda each: each.place
    )
    series = [part for each in shown for part in each.series(zone)]
    start, end = (
        None if each is None else wall_ms([each], zone)[0] for each in (window.start_ms, window.end_ms)
    )
    option = frame(
        legend=legend([each.name for each in shown]),
        xAxis=time_axis(start, end),
        yAxis=value_axis(),
        toolbox=BRUSH,
        series=series,
    )
    if len(shown) > 1:
        option["grid"]["top"] = 36
    return Drawing(
        f"{counted(len(shown), 'line')} over time",
        option,
        ("Time", "Series", "Mean", "Smallest", "Largest", "Samples"),
        [row for each in shown for row in each.rows(zone)],
        zoom=True,
        notes=[f"{counted(left_out, 'line')} with fewer samples left out"] if left_out > 0 else (),
        newer=None
        if buckets is None
        else {
            "start_ms": buckets[0],
            "width_ms": buckets[1],
            "lines": {each.id: each.has_range for each in shown},
        },
    )


def line_of_points(
    name: str, points: Sequence[tuple[int, float]], labels: Mapping[str, str] | None = None
) -> Line:
    """Single points, such as a KPI's, as a line."""
    shown = thinned(points)
    times, values = [time for time, _ in shown], [math.nan if value is None else value for _, value in shown]
    return Line(name, "", "", "", labels or {}, times, values, values, values, [1] * len(times))


def line_names(lines: Sequence[Line], models: Mapping[str, str] | None = None) -> list[str]:
    """A name for each: what distinguishes it from the others."""
    parts: list[list[str]] = [[] for _ in lines]
    keys = sorted({key for line in lines for key in line.labels}, key=lambda key: (key != LINE_LABEL, key))
    facets = [[line.labels.get(key, "") for line in lines] for key in keys]
    facets += [[getattr(line, each) for line in lines] for each in ("name", "node_id", "agent_id")]
    facets.append([(models or {}).get(line.model_id, line.model_id[:8]) for line in lines])
    for values in facets:
        if len(set(values)) > 1:
            for part, value in zip(parts, values, strict=True):
                if value:
                    part.append(value.removeprefix(OVERLAP_LABEL_PREFIX))
    alone = [line.labels.get(LINE_LABEL) or line.labels.get(FEATURE_LABEL) or line.name for line in lines]
    return [" · ".join(part) or name for part, name in zip(parts, alone, strict=True)]


@dataclass(frozen=True, slots=True)
class _Shown:
    name: str
    line: Line
    place: int
    later_ms: int
    dashed: bool

    def series(self, zone: str) -> list[dict[str, Any]]:
        """The line, and below it the range where buckets hold several samples."""
        times = self._times(zone)
        colour = series_colour(self.place)
        drawn = {
            "id": self.id,
            "name": self.name,
            "type": "line",
            "data": _points(times, self.line.means),
            "color": colour,
            "showSymbol": len(times) <= _FEW_POINTS,
            "symbolSize": 5,
            "lineStyle": {"width": 1.6, "type": "dashed" if self.dashed else "solid"},
            "emphasis": {"disabled": True},
        }
        return [*self._range(times, colour), drawn] if self.has_range else [drawn]

    @property
    def id(self) -> str:
        """Of its series, whatever else is drawn."""
        return f"{series_id(self.line)}{' beside' if self.dashed else ''}"

    @property
    def has_range(self) -> bool:
        """Whether a bucket holds several samples."""
        return max(self.line.samples, default=0) > 1

    def _range(self, times: list[int], colour: str) -> list[dict[str, Any]]:
        """Two invisible lines, one upon the other, the ground between them coloured."""
        common = {
            "name": self.name,
            "type": "line",
            "stack": f"range of {self.name}",
            "stackStrategy": "all",
            "color": colour,
            "symbol": "none",
            "lineStyle": {"width": 0},
            "silent": True,
            "tooltip": {"show": False},
            "emphasis": {"disabled": True},
        }
        low = {**common, "id": f"{self.id}{LOW}", "data": _points(times, self.line.minima)}
        span = {**common, "id": f"{self.id}{SPAN}", "data": _points(times, _spans(self.line))}
        return [low, {**span, "areaStyle": {"opacity": 0.18}}]

    def rows(self, zone: str) -> list[list[Any]]:
        """Of the table."""
        line = self.line
        columns = zip(self._times(zone), line.means, line.minima, line.maxima, line.samples, strict=True)
        return [
            [wall_text(time), self.name, finite(mean), finite(low), finite(high), samples]
            for time, mean, low, high, samples in columns
        ]

    def _times(self, zone: str) -> list[int]:
        return wall_ms((each + self.later_ms for each in self.line.times_ms), zone)


def series_id(line: Line) -> str:
    """A short name for a series of a statistic."""
    who = (line.name, line.node_id, line.agent_id, line.model_id, sorted(line.labels.items()))
    return blake2s(repr(who).encode(), digest_size=5).hexdigest()


def newer_points(lines: Sequence[Line], is_drawn: Mapping[str, bool], zone: str) -> dict[str, Any] | None:
    """Ends of the drawn lines by the ids of their series; None where the chart must be drawn anew.

    ``is_drawn`` has the lines, each with whether its range is drawn too.
    """
    found: dict[str, Any] = {}
    for line in lines:
        own = series_id(line)
        has_range = is_drawn.get(own)
        if has_range is None:
            if len(is_drawn) < MOST_LINES:
                return None
            continue
        times = wall_ms(line.times_ms, zone)
        found[own] = _points(times, line.means)
        if has_range:
            found[f"{own}{LOW}"] = _points(times, line.minima)
            found[f"{own}{SPAN}"] = _points(times, _spans(line))
        elif max(line.samples) > 1:
            return None
    return found


def _spans(line: Line) -> list[float]:
    return [high - low for low, high in zip(line.minima, line.maxima, strict=True)]


def _points(times: Sequence[int], values: Sequence[float]) -> list[list[Any]]:
    """As drawn: no screen shows more than six digits. The table has all."""
    return [[time, _six_digits(value)] for time, value in zip(times, values, strict=True)]


def _six_digits(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
