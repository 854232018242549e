"""Enums: category, mode and graph type of statistics."""

from __future__ import annotations

from enum import Enum, StrEnum


class StatCategory(Enum):
    """Category of a scalar for ``set_stat``, which refuses GENERAL and INPUT."""

    GENERAL = 0
    CONFIG = 1
    TIME_SERIES = 2
    INPUT = 3


class StatsMode(StrEnum):
    """Whether every report of a statistic counts, or only the last."""

    TimeSeries = "TIME_SERIES"
    Instant = "INSTANT"


class StatGraphType(StrEnum):
    """How a statistic is drawn, and the two kinds of bins of a histogram."""

    HISTOGRAM = "HISTOGRAM"
    HEATMAP = "HEATMAP"
    EVENTS = "EVENTS"
    MATRIX = "MATRIX"
    KPI = "KPI"
    LINEGRAPH = "LINEGRAPH"
    BARGRAPH = "BARGRAPH"
    MULTILINEGRAPH = "MULTILINEGRAPH"
    TABLE = "TABLE"
    OPAQUE = "OPAQUE"
    GENERAL_GRAPH = "GENERAL_GRAPH"
    HTML = "HTML"
    UNKNOWN = "UNKNOWN"
    VECTOR = "VECTOR"
    HISTOGRAM_TYPE_CONTIGOUOUS = "continuous"
    HISTOGRAM_TYPE_CATEGORICAL = "categorical"
