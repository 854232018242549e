"""Alerts over time: a lane for each name, a bar from the start of the condition to its end, a diamond where it fired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.operations.plots.panels import MUTED, SEVERITY_INK, show_lanes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class AlertMark:
    """One alert on the time axis."""

    name: str
    severity: str
    started: float
    fired: float
    resolved: float | None
    settled_by_new_model: bool = False
    silenced: bool = False


def lanes_of(alerts: Sequence[AlertMark]) -> list[str]:
    """Names in the order in which they first fired."""
    return list(dict.fromkeys(alert.name for alert in sorted(alerts, key=lambda each: each.fired)))


def draw_alerts(axes: Axes, alerts: Sequence[AlertMark], end: float) -> None:
    """Draw into a panel of its own, up to ``end`` those that are open."""
    lanes = lanes_of(alerts)
    named: set[int] = set()
    for alert in alerts:
        lane, ink = lanes.index(alert.name), SEVERITY_INK.get(alert.severity, MUTED)
        until = end if alert.resolved is None else alert.resolved
        axes.plot([alert.started, alert.fired], [lane, lane], color=ink, linewidth=2, alpha=0.4)
        alpha = 0.35 if alert.silenced else 0.8
        axes.plot(
            [alert.fired, until], [lane, lane], color=ink, linewidth=5, solid_capstyle="butt", alpha=alpha
        )
        axes.plot(alert.fired, lane, marker="D", color=ink, markersize=5)
        if alert.silenced and lane not in named:
            named.add(lane)
            axes.text(alert.fired, lane - 0.18, "  silenced", color=ink, fontsize=7.5, va="bottom")
        if alert.resolved is not None:
            face = ink if alert.settled_by_new_model else "white"
            axes.plot(until, lane, "o", markerfacecolor=face, markeredgecolor=ink, markersize=6.5)
    show_lanes(axes, lanes)
