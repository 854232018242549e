"""``canary``: the predictions of a canary must stay close to those of the main pipeline.

Canary comparators report the distance of the two prediction histograms as an event of type ``CanaryHealth``.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, ClassVar

from parallelm.schemas.records import Event
from parallelm.schemas.well_known import CANARY_HEALTH, IS_HEALTHY
from parallelm.stream_processors.alerts import series
from parallelm.stream_processors.alerts.rules import Judged, MLAppRule, Observation, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.stream_processors.alerts.rule import RuleSettings
    from parallelm.stream_processors.alerts.series import Changes, Memory


class CanaryRule(MLAppRule, type_name="canary"):
    """Remembers of each comparator and model what is remembered of a series."""

    records: ClassVar[tuple[type, ...]] = (Event,)
    about_model: ClassVar[bool] = True
    from_other_nodes: ClassVar[bool] = True

    def __init__(self, settings: RuleSettings, parameters: Mapping[str, Any]) -> None:
        super().__init__(settings, parameters)
        self._threshold: float | None = parameters.get("threshold")
        self._title: str | None = parameters.get("title")

    def observe(self, record: Event) -> Iterator[Observation]:
        """The comparison that an event reports."""
        origin = record.origin
        if (
            record.type != CANARY_HEALTH
            or not self.settings.matching.node_matches(origin.node_id)
            or self._title not in {None, record.title}
        ):
            return
        judged = self._judged(record)
        if judged is None:
            return
        place = {"node": origin.node_id, "agent": origin.agent_id, "pipeline": origin.pipeline_instance_id}
        labels = dict(record.labels) | place | {"title": record.title}
        # An alert is about one model: what is remembered is, too.
        group = labels | ({"model": record.model_id} if record.model_id else {})
        yield Observation(group, list(judged), CANARY_HEALTH, record.model_id)

    def absorb(self, memory: Any, payload: Any, arrived_ms: int) -> Progress:
        """A group after a comparison."""
        before = series.Memory() if memory is None else series.Memory.from_json(memory)
        changes: Changes = []
        after = series.absorb_judged(before, self.settings, Judged(*payload), arrived_ms, -1, changes)
        return self._progress(after, changes)

    def on_time(self, memory: Any, now_ms: int) -> Progress:
        """A group without comparisons for long: the canary is over."""
        before = series.Memory.from_json(memory)
        changes: Changes = []
        if now_ms < series.due_ms(before, self.settings):
            return self._progress(before, changes)
        after = series.on_silence(before, self.settings, changes)
        if after is None or not after.life.is_open:
            return Progress(None, None, [step for step, _ in changes])
        return self._progress(after, changes)

    def _progress(self, memory: Memory, changes: Changes) -> Progress:
        due_ms = series.due_ms(memory, self.settings)
        return Progress(list(memory), due_ms, [step for step, _ in changes])

    def _judged(self, event: Event) -> Judged | None:
        """None when the data says nothing that can be judged: it is free-form data of the component."""
        try:
            data = json.loads(event.data)
        except ValueError:
            return None
        if not isinstance(data, dict):
            return None
        comparison = data.get("histogramComparison")
        comparison = comparison if isinstance(comparison, dict) else {}
        score, own = _number(comparison.get("scores")), _number(comparison.get("threshold"))
        limit = self._threshold if self._threshold is not None else own
        if score is None or limit is None:
            healthy = data.get(IS_HEALTHY)
            if not isinstance(healthy, bool):
                return None
            reason = f"the comparator reports that the canary is {'healthy' if healthy else 'not healthy'}"
            value = 0.0 if healthy else 1.0
            return Judged(
                event.event_time_ms, value if score is None else score, not healthy, math.nan, reason
            )
        breached = score > limit
        side = "above" if breached else "not above"
        reason = f"distance of the canary's predictions is {score:.4g}, {side} {limit:g}"
        return Judged(event.event_time_ms, score, breached, limit, reason)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
