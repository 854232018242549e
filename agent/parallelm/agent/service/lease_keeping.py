"""Renews the leases of movable runs, and tells their runners until when each may go on."""

from __future__ import annotations

import dataclasses
import time
from functools import partial
from typing import TYPE_CHECKING

from parallelm.agent.runners import RunKey
from parallelm.agent.service.broker_clock import boottime_s
from parallelm.agent.service.leases import Lease, due, ends_s
from parallelm.agent.service.told import run_report
from parallelm.schemas.records import RunReportKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.agent.service.pulse import Pulse
    from parallelm.agent.service.run_book import RunBook
    from parallelm.agent.service.told import Speaker
    from parallelm.definitions.run_spec import RunSpec


class LeaseKeeping:
    """Leases of this agent's movable runs. Used by one thread."""

    def __init__(self, book: RunBook, pulse: Pulse) -> None:
        self._book = book
        self._pulse = pulse
        self._held: dict[RunKey, Lease] = {}

    def hold(self, key: RunKey, spec: RunSpec, until_s: float) -> None:
        """A run has a lease until ``until_s``."""
        self._held[key] = Lease(key, spec.mlapp_id, spec.running.lease, until_s, asked_s=boottime_s())

    def recover(self) -> None:
        """Ask for more time for the runs of before; their runners know until when each may go on without."""
        for status in self._book.running:
            if status.spec.running.placement == "movable":
                running = status.spec.running
                self._held[status.key] = Lease(
                    status.key, status.spec.mlapp_id, running.lease, boottime_s() + running.lease / 1000
                )

    def renew(self, speaker: Speaker) -> None:
        """Send the renewals that are due."""
        going_on = {status.key for status in self._book.running}
        self._held = {key: lease for key, lease in self._held.items() if key in going_on}
        now_s = boottime_s()
        for mlapp_id, found in due(self._held.values(), now_s).items():
            for lease in found:
                lease.asked_s = now_s
            made = run_report(
                mlapp_id, "", RunKey("", 0), speaker, time.time_ns() // 1_000_000, RunReportKind.RENEWED
            )
            report = dataclasses.replace(
                made,
                runs=[lease.key.run_id for lease in found],
                attempts=[lease.key.attempt for lease in found],
            )
            self._pulse.renewal(report, partial(self._renewed, found))

    def _renewed(self, leases: Sequence[Lease], sent_s: float) -> None:
        for lease in leases:
            status = self._book.statuses.get(lease.key)
            if status is None or status.is_over:
                continue
            until_s = max(lease.ends_s, ends_s(sent_s, lease.lease_ms))
            if self._book.renew(status, until_s):
                lease.ends_s = until_s
