"""Charts as SVG: their colours come from the page's style sheet, their numbers are also said in words beside them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT, LANE = 960, 150, 26
_LEFT, _RIGHT, _BOTTOM, _TOP = 112, 12, 22, 8
_TICKS = 6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_LONGEST_LABEL = 22
_LONGEST_LANE = 18


@dataclass(frozen=True, slots=True)
class Axis:
    """Event time from left to right."""

    start_ms: int
    end_ms: int

    def x(self, moment_ms: float) -> float:
        """Place of a moment; what lies outside is at the edge."""
        share = (moment_ms - self.start_ms) / max(1, self.end_ms - self.start_ms)
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, share))


@dataclass(frozen=True, slots=True)
class Point:
    """What a bucket holds, and where it begins."""

    at_ms: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Band:
    """Something that lasted."""

    lane: str
    label: str
    from_ms: float
    to_ms: float
    style: str
    """Class of the style sheet."""


def time_text(moment_ms: float) -> str:
    """A moment in UTC, to the minute."""
    return (_EPOCH + timedelta(milliseconds=moment_ms)).strftime("%Y-%m-%d %H:%M")


def number_text(value: float) -> str:
    """A number in few digits."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"  # noqa: PLR2004


def line_chart(axis: Axis, points: Sequence[Point], title: str, width_ms: float) -> str:
    """Mean of each bucket as a line, least to most as an area; a gap where buckets are empty."""
    low, high = min(point.low for point in points), max(point.high for point in points)
    spread = (high - low) or abs(high) or 1.0
    floor, ceiling = low - 0.05 * spread, high + 0.05 * spread

    def y(value: float) -> float:
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - (value - floor) / (ceiling - floor))

    parts = [_value_line(y(value), value) for value in ((low, high) if low != high else (low,))]
    for run in _runs(points, width_ms):
        places = [(axis.x(point.at_ms + width_ms / 2), point) for point in run]
        upper = [f"{x:.1f},{y(point.high):.1f}" for x, point in places]
        lower = [f"{x:.1f},{y(point.low):.1f}" for x, point in reversed(places)]
        parts.append(f'<polygon class="area" points="{" ".join(upper + lower)}"/>')
        middle = " ".join(f"{x:.1f},{y(point.mean):.1f}" for x, point in places)
        parts.append(f'<polyline class="line" points="{middle}"/>')
        if len(run) == 1:
            parts.append(f'<circle class="dot" cx="{places[0][0]:.1f}" cy="{y(run[0].mean):.1f}" r="2.5"/>')
    return _svg(axis, HEIGHT, parts, title)


def band_chart(axis: Axis, bands: Sequence[Band], title: str) -> str:
    """A lane for each node or rule, and in it what lasted."""
    lanes = list(dict.fromkeys(band.lane for band in bands))
    height = _TOP + LANE * len(lanes) + _BOTTOM
    parts = []
    for band in bands:
        top = _TOP + LANE * lanes.index(band.lane)
        left, right = axis.x(band.from_ms), axis.x(band.to_ms)
        label = f"{band.label}: {time_text(band.from_ms)} to {time_text(band.to_ms)}"
        parts.append(
            f'<rect class="{band.style}" x="{left:.1f}" y="{top + 2}" width="{max(2.0, right - left):.1f}" '
            f'height="{LANE - 5}"><title>{escape(label)}</title></rect>'
        )
        if right - left > 6 * min(len(band.label), _LONGEST_LABEL):
            parts.append(
                f'<text class="on" x="{left + 4:.1f}" y="{top + 16}">{escape(_short(band.label))}</text>'
            )
    parts += [
        f'<text class="lane" x="0" y="{_TOP + LANE * number + 16}">{escape(_short(lane, _LONGEST_LANE))}</text>'
        for number, lane in enumerate(lanes)
    ]
    return _svg(axis, height, parts, title)


def _short(text: str, longest: int = _LONGEST_LABEL) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _runs(points: Sequence[Point], width_ms: float) -> list[list[Point]]:
    """Points whose buckets follow each other, or nearly: a statistic of each day is a line in a chart of hours."""
    distances = sorted(after.at_ms - before.at_ms for before, after in pairwise(points))
    usual = distances[len(distances) // 2] if distances else width_ms
    runs: list[list[Point]] = []
    for point in points:
        if runs and point.at_ms - runs[-1][-1].at_ms <= 3 * usual:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _value_line(y: float, value: float) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(number_text(value))}</text>'
    )


def _svg(axis: Axis, height: int, parts: Sequence[str], title: str) -> str:
    ticks = []
    long = axis.end_ms - axis.start_ms > 2 * _DAY_MS
    for number in range(_TICKS):
        moment = axis.start_ms + (axis.end_ms - axis.start_ms) * number / (_TICKS - 1)
        anchor = "start" if number == 0 else "end" if number == _TICKS - 1 else "middle"
        text = time_text(moment)[:10] if long else time_text(moment)[5:]
        ticks.append(
            f'<text class="tick" x="{axis.x(moment):.1f}" y="{height - 6}" text-anchor="{anchor}">{text}</text>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f"{''.join(parts)}{''.join(ticks)}</svg>"
    )
