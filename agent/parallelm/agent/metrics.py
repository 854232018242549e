"""Every metric of the agent, named here only.

An agent whose metrics nobody can ask for counts nothing: the client of Prometheus takes 2 MB.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from parallelm.supervision.service_frame import are_metrics_served

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge


class _Uncounted:
    """Stands for a metric."""

    def labels(self, *_: str) -> Self:
        return self

    def inc(self, _: float = 1) -> None: ...

    def set(self, _: float) -> None: ...


@dataclass(frozen=True, slots=True)
class AgentMetrics:
    """Metrics of one agent process, registered in ``registry``; None: nothing is counted."""

    registry: CollectorRegistry | None
    runs: Gauge = field(init=False)
    """Runs on this host that have not ended."""
    commands: Counter = field(init=False)
    """Commands that were carried out, by kind."""
    refused: Counter = field(init=False)
    """Starts that were refused."""
    reports: Counter = field(init=False)
    """Reports that the brokers have confirmed."""
    waiting_reports: Gauge = field(init=False)
    """Reports that the brokers have not confirmed yet."""
    heartbeat_age: Gauge = field(init=False)
    """Seconds since the brokers last confirmed a heartbeat."""
    log_lines: Counter = field(init=False)
    """Log lines of pipelines that were sent."""
    dropped_log_lines: Counter = field(init=False)
    """Log lines that were not, by reason."""

    def __post_init__(self) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter | _Uncounted:
            if self.registry is None:
                return _Uncounted()
            from prometheus_client import Counter

            return Counter(f"mcenter_agent_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str) -> Gauge | _Uncounted:
            if self.registry is None:
                return _Uncounted()
            from prometheus_client import Gauge

            return Gauge(f"mcenter_agent_{name}", text, registry=self.registry)

        for name, made in {
            "runs": gauge("runs", "Runs on this host that have not ended."),
            "commands": counter("commands", "Commands that were carried out.", "kind"),
            "refused": counter("refused_starts", "Starts that were refused."),
            "reports": counter("reports", "Reports that the brokers have confirmed."),
            "waiting_reports": gauge("waiting_reports", "Reports that the brokers have not confirmed yet."),
            "heartbeat_age": gauge(
                "heartbeat_age_seconds", "Seconds since the brokers last confirmed a heartbeat."
            ),
            "log_lines": counter("log_lines", "Log lines of pipelines that were sent."),
            "dropped_log_lines": counter(
                "dropped_log_lines", "Log lines of pipelines that were not sent.", "reason"
            ),
        }.items():
            object.__setattr__(self, name, made)


def served_metrics() -> AgentMetrics:
    """Those that this process serves."""
    if not are_metrics_served():
        return AgentMetrics(None)
    from prometheus_client import REGISTRY

    return AgentMetrics(REGISTRY)
