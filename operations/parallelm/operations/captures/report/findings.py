"""What the report shows, read from the warehouse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries import capture_report as queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.connections import Settings
    from parallelm.warehouse.queries.captures import CaptureRange

BUCKETS = 240
"""Of a chart."""
DRAWN_SERIES = 40
_SHOWN_ROWS = 500
_FIRST = ("pipelinestat.count",)
"""Statistics that are drawn before others."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFindings:
    """Rows for the report; lists that may be cut come with how many there are."""

    name: str
    """Of the capture."""
    chosen: CaptureRange
    created_by: str
    width_ms: int
    """Of a bucket."""
    definitions: Sequence[Row]
    series: Sequence[Row]
    """As ``capture_series`` returns them, with those of all models together; each by the number of one of them."""
    samples: Mapping[int, Sequence[Row]]
    """Buckets of the series that are drawn, by that number."""
    structured: Sequence[Row]
    kpis: Sequence[Row]
    """Buckets."""
    revisions: Sequence[Row]
    deployments: Sequence[Row]
    alerts: Sequence[Row]
    events: tuple[Sequence[Row], int]
    actions: tuple[Sequence[Row], int]
    models: tuple[Sequence[Row], int]


def read_findings(
    settings: Settings, chosen: CaptureRange, series: Sequence[Row], *, name: str, created_by: str
) -> ReportFindings:
    """Read them; ``series`` as ``capture_series`` returns them. Raises the driver's errors."""
    width_ms = max(1, -(-(chosen.end_ms - chosen.start_ms) // BUCKETS))
    together, of_all = without_models(series)
    drawn = sorted(together, key=lambda row: (row["name"] not in _FIRST, -row["samples"]))[:DRAWN_SERIES]
    chosen_numbers = {row["series"] for row in drawn}
    numbers = [number for number, first in of_all.items() if first in chosen_numbers]
    buckets = queries.bucketed_samples(settings, chosen, numbers, width_ms) if numbers else []
    return ReportFindings(
        name=name,
        chosen=chosen,
        created_by=created_by,
        width_ms=width_ms,
        definitions=queries.definitions_between(settings, chosen),
        series=together,
        samples=merged_buckets(buckets, of_all),
        structured=queries.structured_reports(settings, chosen),
        kpis=queries.bucketed_kpis(settings, chosen, width_ms, DRAWN_SERIES),
        revisions=queries.kpi_revision_counts(settings, chosen),
        deployments=queries.deployments_between(settings, chosen),
        alerts=queries.alerts_between(settings, chosen),
        events=queries.first_rows(settings, "events", chosen, _SHOWN_ROWS),
        actions=queries.first_rows(settings, "actions", chosen, _SHOWN_ROWS),
        models=queries.first_rows(settings, "models", chosen, _SHOWN_ROWS),
    )


def without_models(series: Sequence[Row]) -> tuple[list[Row], dict[int, int]]:
    """Series of all models together, and by the number of each series that of the one that it is part of."""
    found: dict[tuple[object, ...], Row] = {}
    of_all: dict[int, int] = {}
    for row in series:
        key = (row["name"], row["node_id"], row["agent_id"], tuple(sorted(row["labels"].items())))
        before = found.setdefault(key, row)
        of_all[row["series"]] = before["series"]
        if before is not row:
            found[key] = _both(before, row)
    return list(found.values()), of_all


def merged_buckets(buckets: Sequence[Row], of_all: Mapping[int, int]) -> dict[int, list[Row]]:
    """Buckets of each series of all models together, by time."""
    found: dict[int, dict[int, Row]] = {}
    for row in buckets:
        places = found.setdefault(of_all[row["series"]], {})
        before = places.get(row["bucket"])
        if before is None:
            places[row["bucket"]] = row
            continue
        count = before["n"] + row["n"]
        places[row["bucket"]] = before | {
            "n": count,
            "mean": (before["mean"] * before["n"] + row["mean"] * row["n"]) / count,
            "minimum": min(before["minimum"], row["minimum"]),
            "maximum": max(before["maximum"], row["maximum"]),
        }
    return {number: [places[each] for each in sorted(places)] for number, places in found.items()}


def _both(one: Row, other: Row) -> Row:
    finite = [row for row in (one, other) if not math.isnan(row["mean"])]
    if not finite:
        return one | {"samples": one["samples"] + other["samples"]}
    weight = sum(row["samples"] for row in finite)
    later = max(finite, key=lambda row: row["last_ms"])
    return one | {
        "samples": one["samples"] + other["samples"],
        "total": one["total"] + other["total"],
        "mean": sum(row["mean"] * row["samples"] for row in finite) / weight,
        "minimum": min(row["minimum"] for row in finite),
        "maximum": max(row["maximum"] for row in finite),
        "last": later["last"],
        "last_ms": later["last_ms"],
    }
