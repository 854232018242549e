"""``mlops.structured-statistics``: one row a report; its histograms are a Nested column."""

from __future__ import annotations

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.errors import InvalidRecordError
from parallelm.sinks.record_rows import TableSpec


def check_histograms(statistic: records.StructuredStatistic) -> None:
    """Raise ``InvalidRecordError`` for a histogram whose bins and weights differ in number."""
    for histogram in statistic.histograms:
        bins = len(histogram.weights)
        if histogram.kind is records.HistogramKind.CATEGORICAL:
            fits = len(histogram.categories) == bins
        else:
            fits = len(histogram.edges) == bins + 1 or not (bins or histogram.edges)
        if not fits:
            raise InvalidRecordError(
                f"{histogram.kind} histogram of {histogram.feature!r} has {bins} weights, "
                f"{len(histogram.edges)} edges and {len(histogram.categories)} categories"
            )


TABLE = TableSpec(
    topics.STRUCTURED_STATISTICS,
    table="structured_statistics",
    columns=columns_of(records.StructuredStatistic),
    check=check_histograms,
)
