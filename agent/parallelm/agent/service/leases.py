"""Leases of movable runs: until when each may go on here, and when the control plane is asked for more.

The control plane gives a movable run to another agent once nothing was heard of its lease for ``lease``, by the brokers'
time: since the last renewal (or other report of the run) has arrived, and for a run that was never reported since its
start command has expired. This agent counts from earlier moments: from when it *sent* the last renewal that was
confirmed, and for a new run from when it took the command. Less the margin, the run is over here before it starts there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.agent.runners import RunKey

RENEWALS_PER_LEASE = 5
MARGIN = 0.02
"""Share of the lease that is given away, for clocks that do not run alike and for the time that a kill takes."""


def ends_s(since_s: float, lease_ms: int) -> float:
    """When a run must have ended that holds a lease since ``since_s``."""
    return since_s + lease_ms / 1000 * (1 - MARGIN)


@dataclass(slots=True)
class Lease:
    """Lease of one movable run; seconds of ``CLOCK_BOOTTIME``."""

    key: RunKey
    mlapp_id: str
    lease_ms: int
    ends_s: float
    asked_s: float = float("-inf")
    """When its renewal was last sent."""

    def is_due(self, now_s: float) -> bool:
        """Whether to ask for more. One that is over is not renewed: the run may be elsewhere by now."""
        return now_s < self.ends_s and now_s - self.asked_s >= self.lease_ms / 1000 / RENEWALS_PER_LEASE


def due(leases: Iterable[Lease], now_s: float) -> dict[str, list[Lease]]:
    """By MLApp the leases to renew now: all of an MLApp that are not over, when one of them is due."""
    held: dict[str, list[Lease]] = {}
    for lease in leases:
        if now_s < lease.ends_s:
            held.setdefault(lease.mlapp_id, []).append(lease)
    return {
        mlapp_id: found for mlapp_id, found in held.items() if any(lease.is_due(now_s) for lease in found)
    }
