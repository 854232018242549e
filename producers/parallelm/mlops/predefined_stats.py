"""Names of statistics that the platform itself knows."""

from __future__ import annotations

from typing import Final


class PredefinedStats:
    """Report under these names what the Health View shows by itself."""

    PREDICTIONS_COUNT: Final = "pipelinestat.count"
    """Number of predictions made."""
    WORKER_STATS: Final = "workers"
    PREDICTION_HISTOGRAM: Final = "PredictionHistogram"
    """Bar graph of the predictions, which the canary comparator reads."""
