"""Names of statistics that the platform itself knows."""

from __future__ import annotations

from typing import Final

from parallelm.schemas import well_known


class PredefinedStats:
    """Report under these names what the Health View shows by itself."""

    PREDICTIONS_COUNT: Final = "pipelinestat.count"
    """Number of predictions made."""
    WORKER_STATS: Final = "workers"
    PREDICTION_HISTOGRAM: Final = well_known.PREDICTION_HISTOGRAM
    """Bar graph of the predictions, which the canary comparator reads."""
