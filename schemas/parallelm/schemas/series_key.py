"""What tells a series of samples from others. Typing only: ``import parallelm.mlops`` imports this.

A new text of a series is a field here, in ``records.Series`` and in ``slicing.SlicedSeries``, in the order of the
schema and in front of the labels; encoder, decoder and sink take it from there.
"""

from __future__ import annotations

from typing import NamedTuple


class SeriesKey(NamedTuple):
    """Texts of a series in the order of the record, and its labels. The defaults are those of a bare number."""

    name: str
    model_id: str = ""
    category: str = "TIME_SERIES"
    graph_type: str = "LINEGRAPH"
    labels: tuple[tuple[str, str], ...] = ()
