"""Reports that statistic objects make for the output: numbers or one structured payload, and the stand-alone text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas.well_known import LINE_LABEL

if TYPE_CHECKING:
    from parallelm.schemas.records import Histogram


_BIN_BYTES = 100


@dataclass(frozen=True, slots=True)
class NumericReport:
    """Numbers with one event time: one series for each line.

    ``samples`` are (line label, value) pairs, the label empty when there is one line only. ``category`` is TIME_SERIES
    (every sample counts) or CONFIG (only the last value counts). ``text`` is the data column of the stand-alone line.
    """

    name: str
    graph_type: str
    category: str
    samples: tuple[tuple[str, float], ...]
    text: str
    line_label: str = LINE_LABEL
    """Name of the label that distinguishes the lines."""

    @property
    def mode(self) -> str:
        """The mode column of the stand-alone line."""
        return "TIME_SERIES" if self.category == "TIME_SERIES" else "INSTANT"


@dataclass(frozen=True, slots=True)
class StructuredReport:
    """A table, graph, bar graph, histogram set, heat map, opaque object or HTML page.

    ``payload`` has the data that ``text`` (the data column of the stand-alone line) shows, as JSON in UTF-8 unless
    ``content_type`` names another type. In JSON, NaN and infinities are the strings "NaN", "Infinity" and "-Infinity",
    which ``float`` reads back. ``histograms`` repeats distributions with typed edges, including infinities.
    """

    name: str
    graph_type: str
    mode: str
    content_type: str
    payload: bytes
    histograms: tuple[Histogram, ...]
    text: str

    @property
    def size_bytes(self) -> int:
        """Approximate size in memory: payload, text, and the objects of each bin."""
        bins = sum(len(histogram.weights) for histogram in self.histograms)
        return len(self.payload) + len(self.text) + _BIN_BYTES * bins
