"""Every metric of the agent, named here only."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge


@dataclass(frozen=True, slots=True)
class AgentMetrics:
    """Metrics of one agent process, registered in ``registry``."""

    registry: CollectorRegistry = field(default_factory=lambda: REGISTRY)
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
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"mcenter_agent_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str) -> Gauge:
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
