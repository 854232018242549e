"""What the report shows, read from the warehouse."""

from __future__ import annotations

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
    """As ``capture_series`` returns them."""
    samples: Mapping[int, Sequence[Row]]
    """Buckets of the series that are drawn, by number of the series."""
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
    drawn = sorted(series, key=lambda row: (row["name"] not in _FIRST, -row["samples"]))[:DRAWN_SERIES]
    numbers = [row["series"] for row in drawn]
    samples: dict[int, list[Row]] = {number: [] for number in numbers}
    for row in queries.bucketed_samples(settings, chosen, numbers, width_ms) if numbers else ():
        samples[row["series"]].append(row)
    return ReportFindings(
        name=name,
        chosen=chosen,
        created_by=created_by,
        width_ms=width_ms,
        definitions=queries.definitions_between(settings, chosen),
        series=series,
        samples=samples,
        structured=queries.structured_reports(settings, chosen),
        kpis=queries.bucketed_kpis(settings, chosen, width_ms, DRAWN_SERIES),
        revisions=queries.kpi_revision_counts(settings, chosen),
        deployments=queries.deployments_between(settings, chosen),
        alerts=queries.alerts_between(settings, chosen),
        events=queries.first_rows(settings, "events", chosen, _SHOWN_ROWS),
        actions=queries.first_rows(settings, "actions", chosen, _SHOWN_ROWS),
        models=queries.first_rows(settings, "models", chosen, _SHOWN_ROWS),
    )
