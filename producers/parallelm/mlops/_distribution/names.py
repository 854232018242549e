"""Names of the statistics that a data distribution is reported under."""

from __future__ import annotations

from typing import Final

CONTINUOUS_HISTOGRAM: Final = "continuousDataHistogram"
CATEGORICAL_HISTOGRAM: Final = "categoricalDataHistogram"
CONTINUOUS_ANALYSIS: Final = "Continuous Data Analysis"
CATEGORICAL_ANALYSIS: Final = "Categorical Data Analysis"
HEAT_MAP: Final = "dataheatmap"

# Health rules match statistics by this ending, and features by the prefix of the line label.
OVERLAP_SUFFIX: Final = "overlapResult"
CONTINUOUS_OVERLAP: Final = f"{CONTINUOUS_HISTOGRAM}.{OVERLAP_SUFFIX}"
CATEGORICAL_OVERLAP: Final = f"{CATEGORICAL_HISTOGRAM}.{OVERLAP_SUFFIX}"
OVERLAP_LABEL_PREFIX: Final = "overlapScore_"
