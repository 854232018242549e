"""Reported statistics: each drawn by its type. A type is a function in ``DRAWERS``; what is in none is shown as a tree."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from itertools import pairwise
from typing import Any, Final

from parallelm.operations.json_values import read_json
from parallelm.server.charts.bars import Histogram, draw_bars, draw_histograms
from parallelm.server.charts.drawing import Drawing, nothing, wall_ms, wall_text
from parallelm.server.charts.graphs import draw_graph
from parallelm.server.charts.tables import draw_matrix, draw_table

TREE_KINDS: Final = frozenset({"OPAQUE", "UNKNOWN"})
HTML_KIND: Final = "HTML"
HEAT_MAP_KIND: Final = "HEATMAP"
_ENDS: Final = 2


def draw_report(row: Mapping[str, Any], feature: str | None = None) -> Drawing:
    """A row of ``structured_statistics``; of a set of histograms the one of ``feature``, or the first."""
    try:
        if histogram := histogram_of(row, feature):
            return draw_histograms([histogram])
        draw = DRAWERS.get(row["graph_type"])
        return draw(row["data"], row["name"]) if draw else nothing("It is no chart.")
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        return nothing(
            f"This {row['graph_type']} cannot be drawn: it is not as components report one ({error})."
        )


def histogram_of(row: Mapping[str, Any], feature: str | None = None, named: str = "") -> Histogram | None:
    """One of the histograms of a row of ``structured_statistics``; also a bar graph, which is one of predictions."""
    features = list(row["histograms.feature"])
    if features and (feature is None or feature in features):
        place = features.index(feature) if feature else 0
        found = {key: row[f"histograms.{key}"][place] for key in ("weights", "edges", "categories")}
        return Histogram.of_row(named or features[place], found)
    return None


def distribution_of(row: Mapping[str, Any], named: str) -> Histogram | None:
    """What a bar graph or a set of histograms distributes, as shares; None for anything else."""
    if found := histogram_of(row, named=named):
        return found
    try:
        bars = _bars(row["data"])
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        return None
    whole = sum(height for _, height in bars)
    if not bars or whole <= 0:
        return None
    shares = [height / whole for _, height in bars]
    edges = _edges([name for name, _ in bars])
    return Histogram(named, shares, edges=edges, categories=() if edges else [name for name, _ in bars])


def draw_heat_maps(rows: Sequence[Mapping[str, Any]], zone: str) -> Drawing:
    """Reports of a heat map over time: a row a feature."""
    reports = []
    for row in rows:
        try:
            found = {str(name): float(value) for name, value in read_json(row["data"]).items()}
        except (ValueError, TypeError, AttributeError, ArithmeticError):
            continue
        moment = row["event_time"]
        at_ms = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        reports.append((wall_text(wall_ms([at_ms], zone)[0])[:-3], found))
    features = sorted({name for _, found in reports for name in found})
    values = [[found.get(name) for _, found in reports] for name in features]
    told = f"Heat map of {len(features)} features in {len(reports)} reports: the mean after scaling to 0 to 1"
    return draw_matrix(
        features, [time for time, _ in reports], values, told=told, bounds=(0.0, 1.0), labelled=False
    )


def _draw_bars(data: str, name: str) -> Drawing:
    bars = _bars(data)
    edges = _edges([bar for bar, _ in bars])
    return (
        draw_histograms([Histogram(name, [height for _, height in bars], edges)])
        if edges
        else draw_bars(bars, name=name)
    )


def _bars(data: str) -> list[tuple[str, float]]:
    """A bar graph's payload is ``{name: [{bar: height}, …]}``."""
    payload = read_json(data)
    found: list[dict[str, Any]] = next(iter(payload.values()), [])
    return [(str(bar), float(height)) for each in found for bar, height in each.items()]


def _edges(names: Sequence[str]) -> list[float]:
    """Edges that names like ``0 to 1`` give when they follow each other; else none."""
    try:
        ends = [tuple(float(end) for end in name.split(" to ", 1)) for name in names]
    except ValueError:
        return []
    if not ends or any(len(pair) != _ENDS or not pair[0] < pair[1] for pair in ends):
        return []
    follow = all(first[1] == second[0] for first, second in pairwise(ends))
    return [ends[0][0], *(pair[1] for pair in ends)] if follow else []


def _draw_table(data: str, name: str) -> Drawing:
    # As pairs: unnamed rows may repeat.
    found = read_json(data, object_pairs_hook=_Members)
    rows = [
        (row, [column for column, _ in cells], [_plain(cell) for _, cell in cells]) for row, cells in found
    ]
    columns = rows[0][1] if rows else []
    numbers = [[_number(cell) for cell in cells] for _, _, cells in rows]
    is_square = len(rows) == len(columns) > 1 and all(names == columns for _, names, _ in rows)
    if is_square and all(cell is not None for line in numbers for cell in line):
        told = f"{name}: a matrix of {len(rows)} rows and columns"
        return draw_matrix([row for row, _, _ in rows], columns, numbers, told=told)
    return draw_table(rows)


class _Members(list[Any]):
    """A JSON object as pairs."""


def _plain(cell: Any) -> Any:
    if isinstance(cell, _Members):
        return json.dumps({name: _plain(value) for name, value in cell}, ensure_ascii=False)
    return json.dumps([_plain(each) for each in cell], ensure_ascii=False) if isinstance(cell, list) else cell


def _number(cell: Any) -> float | None:
    """A number, also one that is written as text."""
    try:
        return None if isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError, ArithmeticError):
        return None


def _draw_graph(data: str, name: str) -> Drawing:  # noqa: ARG001 - as the others
    return draw_graph(read_json(data))


def _draw_heat(data: str, name: str) -> Drawing:
    return draw_bars([(str(feature), float(value)) for feature, value in read_json(data).items()], name=name)


DRAWERS: Final[dict[str, Callable[[str, str], Drawing]]] = {
    "BARGRAPH": _draw_bars,
    "HISTOGRAM": _draw_bars,
    "GENERAL_GRAPH": _draw_graph,
    "MATRIX": _draw_table,
    "TABLE": _draw_table,
    HEAT_MAP_KIND: _draw_heat,
}
