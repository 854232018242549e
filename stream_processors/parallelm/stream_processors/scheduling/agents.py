"""Agents as the control plane sees them now. Advisory: a wrong choice costs time, never exactness."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SILENT_MS = 20_000
"""An agent that was not heard of for so long, by the broker's clock, is taken to be unreachable."""


@dataclass(frozen=True, slots=True)
class AgentView:
    """One registered agent."""

    agent_id: str
    epoch: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    state: str = "ready"
    """``ready``, ``draining``, ``drained`` or ``ended``."""
    heard_of: bool = True
    runs: int = 0
    """Runs on it, by its last heartbeat."""
    cpus: float = 0.0
    """0: it did not say."""
    memory_bytes: int = 0
    """0: it did not say."""
    runners: tuple[str, ...] = ("process",)

    @property
    def takes_runs(self) -> bool:
        """Whether new runs may go there."""
        return self.heard_of and self.state == "ready"


@dataclass(slots=True)
class Agents:
    """Every registered agent by id, with the runs that went there since its last heartbeat."""

    views: Mapping[str, AgentView] = field(default_factory=dict)
    placed: Counter[str] = field(default_factory=Counter)
    generation: int = 0
    """Another one: agents have come or gone, or look different, so that runs are judged anew."""

    def get(self, agent_id: str) -> AgentView | None:
        """An agent; None when there is none of that name, or none any more."""
        return self.views.get(agent_id)

    def load(self, view: AgentView) -> int:
        """Runs that it has, as far as is known."""
        return view.runs + self.placed[view.agent_id]
