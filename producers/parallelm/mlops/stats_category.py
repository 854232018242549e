"""How a statistic counts and how it is drawn."""

from __future__ import annotations

from enum import Enum, StrEnum


class StatCategory(Enum):
    """What kind of scalar ``set_stat`` is given. GENERAL and INPUT are known names that ``set_stat`` refuses."""

    GENERAL = 0
    CONFIG = 1
    TIME_SERIES = 2
    INPUT = 3


class StatsMode(StrEnum):
    """Whether every report of a statistic counts, or only the last one."""

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
