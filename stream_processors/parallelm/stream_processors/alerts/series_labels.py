"""Labels that tell the alert of one series from the others of its rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.stream_processors.alerts.rules import SeriesRule


def alert_labels(
    rule: SeriesRule, origin: tuple[str, str, str, str], statistic: str, labels: Mapping[str, str]
) -> dict[str, str] | None:
    """Labels of the series, and who reports it; None when the rule is not about it.

    ``origin`` is MLApp, node, pipeline instance and agent.
    """
    _, node_id, pipeline, agent_id = origin
    if not rule.settings.matching.node_matches(node_id):
        return None
    own = rule.series_labels(statistic, labels)
    if own is None:
        return None
    if rule.settings.matching.statistic_pattern is not None:  # several statistics have the same labels
        own = {**own, "statistic": statistic}
    return dict(own) | {"node": node_id, "agent": agent_id, "pipeline": pipeline}
