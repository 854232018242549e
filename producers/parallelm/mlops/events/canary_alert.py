"""Alert about how a canary's predictions compare with the main pipeline's."""

from __future__ import annotations

from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.stats._callers_values import truth
from parallelm.mlops.stats._values import jsonable
from parallelm.schemas.well_known import IS_HEALTHY


class CanaryAlert(Event):
    """Result of one comparison: its score, and the threshold that the score was compared with."""

    def __init__(
        self,
        label: str,
        is_healthy: bool = False,
        score: float | None = None,
        threshold: float | None = None,
    ) -> None:
        healthy = truth(is_healthy, "is_healthy")
        limit = jsonable(threshold, "threshold")
        description = (
            "Canary Health is Good"
            if healthy
            else f"Canary prediction distributions diverge with a threshold set to {limit}"
        )
        comparison = {
            "threshold": limit,
            "attributes": "prediction",
            "scores": jsonable(score, "score"),
            "divergedAttributes": "" if healthy else "prediction",
        }
        data = {
            "type": "canaryPredictionComparison",
            "description": description,
            IS_HEALTHY: healthy,
            "histogramComparison": comparison,
        }
        super().__init__(label, description, data, EventType.CanaryHealth, is_alert=True)
