"""Names of statistics that the platform uses itself."""

from __future__ import annotations

from typing import Final

from parallelm.schemas import well_known


class PredefinedStats:
    """Names of statistics that the Health View shows without configuration."""

    PREDICTIONS_COUNT: Final = "pipelinestat.count"
    """Number of predictions made."""
    WORKER_STATS: Final = "workers"
    PREDICTION_HISTOGRAM: Final = well_known.PREDICTION_HISTOGRAM
    """Bar graph of the predictions, which the canary comparator reads."""
