"""Carries out commands: each once, however often it comes."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING

from parallelm.agent.errors import RunRefusedError
from parallelm.agent.runners import RunKey
from parallelm.agent.service import leases
from parallelm.agent.service.broker_clock import boottime_s
from parallelm.agent.service.judging import (
    DRAINED,
    DRAINING,
    READY,
    REMOVED,
    is_for,
    model_to_deliver,
    spec_to_start,
)
from parallelm.agent.service.told import REFUSED, Speaker, run_report
from parallelm.schemas.records import CommandKind, RunReportKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.agent.metrics import AgentMetrics
    from parallelm.agent.runners import RunStatus
    from parallelm.agent.service.broker_clock import BrokerClock
    from parallelm.agent.service.judging import Standing
    from parallelm.agent.service.lease_keeping import LeaseKeeping
    from parallelm.agent.service.run_book import RunBook
    from parallelm.schemas.records import AgentCommand, RunReport

_LOG = logging.getLogger(__name__)
STATE = "state"
"""Stored value: the agent's state."""


class Commands:
    """Used by one thread."""

    def __init__(
        self,
        book: RunBook,
        keeping: LeaseKeeping,
        clock: BrokerClock,
        set_state: Callable[[str], None],
        metrics: AgentMetrics,
    ) -> None:
        self._book = book
        self._leases = keeping
        self._clock = clock
        self._set_state = set_state
        self._metrics = metrics
        self._handlers = {
            CommandKind.START: self._start,
            CommandKind.STOP: self._stop,
            CommandKind.DELIVER_MODEL: self._deliver,
            CommandKind.DRAIN: self._drain,
            CommandKind.RESUME: self._resume,
            CommandKind.REMOVE: self._remove,
        }

    def carry_out(self, command: AgentCommand, standing: Standing) -> None:
        """Do what is asked, unless it is for another installation or of an unknown kind."""
        if not is_for(command, standing):
            _LOG.info("command %s is for epoch %d: ignored", command.command_id, command.epoch)
            return
        handler = self._handlers.get(command.kind)
        if handler is None:
            _LOG.warning("command %s is of a kind that this version does not know", command.command_id)
            return
        handler(command, standing)
        self._metrics.commands.labels(command.kind.value).inc()

    def _start(self, command: AgentCommand, standing: Standing) -> None:
        key = _key(command)
        if self._book.is_known(key):
            return
        now_s = boottime_s()
        latest_ms = self._clock.latest_ms(now_s)
        try:
            if latest_ms is None:
                raise RunRefusedError("the brokers' clock is not known yet")  # noqa: TRY301 - answered below
            spec = spec_to_start(command, standing, latest_ms)
            is_movable = spec.running.placement == "movable"
            lease_ends_s = leases.ends_s(now_s, spec.running.lease) if is_movable else None
            self._book.start(spec, key, lease_ends_s)
        except RunRefusedError as error:
            _LOG.warning("run %s attempt %d is refused: %s", key.run_id, key.attempt, error)
            self._metrics.refused.inc()
            self._book.refuse(command.mlapp_id, command.node_id, key, _speaker(standing), error)
            return
        if lease_ends_s is not None:
            self._leases.hold(key, spec, lease_ends_s)

    def _stop(self, command: AgentCommand, standing: Standing) -> None:
        key, reason = _key(command), command.reason or "stopped by command"
        if status := self._book.statuses.get(key):
            self._book.stop(status, reason)
            return
        told = self._book.told.get(key)
        if told is None or told.outcome == REFUSED:
            error = RunRefusedError(told.message if told else "it was stopped before it was started here")
            self._book.refuse(command.mlapp_id, command.node_id, key, _speaker(standing), error)
            return
        made = self._report(command, key, standing, RunReportKind.ENDED)
        self._book.report(
            dataclasses.replace(
                made, outcome=told.outcome or "lost", starts=told.starts, message=told.message
            )
        )

    def _deliver(self, command: AgentCommand, standing: Standing) -> None:
        wanted = self._addressed(command)
        try:
            model = model_to_deliver(command)
            if not wanted:
                raise RunRefusedError(  # noqa: TRY301 - answered below
                    f"no run of node {command.node_id!r} goes on here"
                )
        except RunRefusedError as error:
            made = self._report(command, _key(command), standing, RunReportKind.MODEL_REFUSED)
            self._book.report(dataclasses.replace(made, message=str(error)))
            return
        for status in wanted:
            self._book.deliver(status, model)

    def _addressed(self, command: AgentCommand) -> list[RunStatus]:
        """The command's run or, where it names none, all of its node."""
        if command.run_id:
            return [status for status in self._book.running if status.key == _key(command)]
        place = (command.mlapp_id, command.node_id)
        return [
            status for status in self._book.running if (status.spec.mlapp_id, status.spec.node_id) == place
        ]

    def _drain(self, _: AgentCommand, __: Standing) -> None:
        """Take no more runs; which of those that go on are moved is up to the control plane."""
        self._set_state(DRAINING)

    def _resume(self, _: AgentCommand, standing: Standing) -> None:
        if standing.state in {DRAINING, DRAINED}:
            self._set_state(READY)

    def _remove(self, command: AgentCommand, _: Standing) -> None:
        self.remove(command.reason or "its agent is removed")

    def remove(self, reason: str) -> None:
        """Let nothing run on this agent any more."""
        self._set_state(REMOVED)
        for status in self._book.running:
            self._book.stop(status, reason)

    def _report(
        self, command: AgentCommand, key: RunKey, standing: Standing, kind: RunReportKind
    ) -> RunReport:
        now_ms = time.time_ns() // 1_000_000
        return run_report(command.mlapp_id, command.node_id, key, _speaker(standing), now_ms, kind)


def _key(command: AgentCommand) -> RunKey:
    return RunKey(command.run_id, command.attempt)


def _speaker(standing: Standing) -> Speaker:
    return Speaker(agent_id=standing.agent_id, epoch=standing.epoch)
