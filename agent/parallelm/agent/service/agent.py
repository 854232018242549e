"""``Agent``: the loop around it all. One thread decides and stores; another reads what comes, a third sends what may be lost."""

from __future__ import annotations

import logging
import select
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from parallelm.agent.errors import NameTakenError
from parallelm.agent.service.broker_clock import boottime_s
from parallelm.agent.service.claims import is_lost_to
from parallelm.agent.service.commands import STATE, Commands
from parallelm.agent.service.judging import DRAINED, DRAINING, ENDED, READY, REMOVED, Standing
from parallelm.agent.service.lease_keeping import LeaseKeeping
from parallelm.agent.service.outbox import Outbox
from parallelm.agent.service.pulse import Pulse
from parallelm.agent.service.reader import Failed, Found, Reader
from parallelm.agent.service.registration import Position, Registered, Registration
from parallelm.agent.service.run_book import RunBook
from parallelm.agent.service.showing import Showing
from parallelm.agent.service.store import StoreFullError
from parallelm.agent.service.told import Speaker
from parallelm.agent.telemetry.thread import Telemetry
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import DecodeError, RegistryUnavailableError, UnknownSchemaError
from parallelm.schemas.records import AgentState, Heartbeat, PipelineState
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topics import RUN_REPORTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.agent.keeping.records import Outcome
    from parallelm.agent.metrics import AgentMetrics
    from parallelm.agent.options import AgentOptions
    from parallelm.agent.runners import Runner, RunStatus
    from parallelm.agent.service.data_folder import DataFolder
    from parallelm.agent.service.store import Store
    from parallelm.connections import Settings
    from parallelm.supervision.service_frame import Stop

_LOG = logging.getLogger(__name__)
_TICK_S = 0.1
_STATE_INTERVAL_S = 10.0
"""Between states that tell of nothing but other runs."""
_PRUNE_INTERVAL_S = 3600.0
_LAST_WORDS_S = 2.0
"""For what is on its way when the agent ends; the rest is sent when it is started again."""
_STOPPING_S = 10.0
"""How long an agent that has lost its name waits for its runs to end; their keepers end them without it."""
_MOST_PIPELINES = 1_000
"""In one state, which must fit a record."""
EPOCH, POSITION = "epoch", "position"
HANGS_AFTER_S = 30.0
_NOT_YET = UnknownSchemaError, RegistryUnavailableError
"""Of a record whose schema is to be had later."""
SILENT_AFTER_S = 10.0


class Agent:
    """One agent; ``run`` once, on the thread that made it."""

    def __init__(
        self,
        settings: Settings,
        options: AgentOptions,
        folder: DataFolder,
        store: Store,
        runners: Mapping[str, Runner],
        metrics: AgentMetrics,
    ) -> None:
        prefix = settings.kafka.topic_prefix
        self._options = options
        self._installation_id = folder.installation_id
        self._runners = runners
        self._store = store
        self._metrics = metrics
        self._codec = Codec(make_registry(settings.schema_registry, prefix))
        self._pulse = Pulse(settings.kafka, self._codec)
        self._outbox = Outbox(settings.kafka, RUN_REPORTS.full_name(prefix))
        self.book = RunBook(runners, store, self._outbox, self._codec)
        self._leases = LeaseKeeping(self.book, self._pulse)
        self._commands = Commands(self.book, self._leases, self._pulse.clock, self._set_state, metrics)
        self._epoch = int(store.get(EPOCH) or "0")
        known = store.get(STATE)
        self._state = self._said_state = known if known in {DRAINING, DRAINED} else READY
        self._was_removed = known == REMOVED
        self._position = Position.parse(store.get(POSITION))
        self._registered: Registered | None = None
        self._entering: Registered | None = None
        self._found: list[Found] = []
        self._unreadable, self._read_again_at = "", 0.0
        self._seq = 0
        self._state_told: tuple[str, frozenset[str]] | None = None
        self._state_at, self._beat_at, self._pruned_at = 0.0, 0.0, time.monotonic()
        self._state_is_lost = False
        self._is_superseded = ""
        self.turned_at = time.monotonic()
        """When the loop last began a round."""
        self._telemetry = Telemetry(
            settings,
            options.name,
            folder.installation_id,
            options.folder,
            options.metrics_interval_s,
            metrics,
        )
        self._showing = Showing(self.book, self._telemetry, options)
        registration = Registration(settings, self._codec, self._describe())
        self._reader = Reader(settings, registration, (self._epoch, self._position), _now_ms)

    def run(self, stop: Stop, announce_ready: Callable[[], None]) -> None:
        """Work until ``stop`` is set or the agent is removed; raises ``AgentError`` when it cannot go on."""
        self.book.recover()
        self._leases.recover()
        if self._was_removed and self.book.running:  # it was killed while they ended
            self._commands.remove("its agent is removed")
        self._showing.show()
        self._telemetry.start()
        self._reader.start()
        poller = self._poller(stop)
        try:
            while not stop.is_set() and not self._is_removed() and not self._is_superseded:
                self._round(announce_ready)
                poller.poll(_TICK_S * 1000)
            self._reader.end()
            if self._is_superseded:
                self._give_up_runs()
            elif self._options.stops_runs and not self._is_removed():
                self._stop_runs()
        finally:
            self._reader.end()
            self._showing.show()
            self._telemetry.end()
            self._say_last_words()
        if self._is_superseded:
            raise NameTakenError(self._is_superseded)

    def why_stalled(self) -> str:
        """What keeps it from its work; empty when nothing does. Asked from another thread."""
        if problem := self.book.problem or self.book.runner_problem or self._unreadable:
            return problem
        if self._registered is None:
            return f"not registered: {self._reader.problem or 'the brokers have not answered yet'}"
        silent_s = boottime_s() - self._pulse.confirmed_s
        return f"no heartbeat was confirmed for {silent_s:.0f} s" if silent_s > SILENT_AFTER_S else ""

    def why_hanging(self) -> str:
        """Whether its loop stands still; empty when it turns. Asked from another thread."""
        age_s = time.monotonic() - self.turned_at
        return f"its loop has not turned for {age_s:.0f} s" if age_s > HANGS_AFTER_S else ""

    def _poller(self, stop: Stop) -> select.poll:
        poller = select.poll()
        poller.register(stop, select.POLLIN)
        poller.register(self._reader, select.POLLIN)
        for runner in self._runners.values():
            if (descriptor := runner.wake_fd()) is not None:
                poller.register(descriptor, select.POLLIN)
        return poller

    def _round(self, announce_ready: Callable[[], None]) -> None:
        self.turned_at = time.monotonic()
        self._hear(announce_ready)
        self.book.look()
        if self._registered and not self.book.is_blocked:
            self._carry_out()
        if self._epoch:
            self._tell()
        self._pulse.poll()

    def _hear(self, announce_ready: Callable[[], None]) -> None:
        for found in self._reader.taken():
            if isinstance(found, Failed):
                raise found.error
            if isinstance(found, Registered):
                self._entering = found
                # What follows may be this very record, which is nobody else's.
                self._pulse.sent_states.append(found.state_bytes)
                if self._enter(found):
                    self._entering = None
                    announce_ready()
            elif found.is_command:
                self._found.append(found)
            else:
                self._note_state(found.value)
        self._reader.backlog = len(self._found)
        if self._entering and self._enter(self._entering):
            self._entering = None
            announce_ready()

    def _enter(self, registered: Registered) -> bool:
        """Take up the epoch; it is stored before any command is read. False: it cannot be stored now."""
        try:
            self._store.put(epoch=str(registered.epoch), position=str(registered.commands))
        except StoreFullError as error:
            self._reader.problem = str(error)
            return False
        self._registered, self._epoch, self._position = registered, registered.epoch, registered.commands
        self._state_told = None
        self._reader.go_on()
        _LOG.info("agent %s is registered in epoch %d", self._options.name, self._epoch)
        return True

    def _note_state(self, value: bytes) -> None:
        if value in self._pulse.sent_states:
            return
        try:
            state = self._codec.decode(value)
        except (DecodeError, *_NOT_YET):
            return
        if is_lost_to(state, self._epoch, self._installation_id):
            what = "was removed" if state.state == REMOVED else "was taken over"
            self._is_superseded = (
                f"agent {self._options.name!r} {what} while this one was not heard of: by host {state.hostname!r}, "
                f"installation {state.installation_id}, epoch {state.epoch}. This one stops its runs and ends; give it "
                "another name with --name"
            )
        else:
            # Whoever came second, or late: the newest record of the key is to be the holder's.
            self._state_is_lost = True

    def _carry_out(self) -> None:
        if not self._pulse.clock.is_known:
            return  # whether a start is void is not known before the first heartbeat is confirmed
        if self._unreadable and time.monotonic() < self._read_again_at:
            return
        taken, self._found = self._found, []
        was_unreadable, self._unreadable = self._unreadable, ""
        for number, found in enumerate(taken):
            try:
                command = self._codec.decode(found.value)
            except DecodeError as error:
                _LOG.warning("a command that cannot be read is left out: %s", error)
            except _NOT_YET as error:
                self._unreadable, self._read_again_at = (
                    f"a command cannot be read yet: {error}",
                    time.monotonic() + 1,
                )
                if self._unreadable != was_unreadable:
                    _LOG.warning("%s; it and those behind it wait", self._unreadable)
                taken, self._found = taken[:number], taken[number:]
                break
            else:
                self._commands.carry_out(command, self._standing())
            if self._position:
                self._position = Position(self._position.topic_id, found.offset + 1)
        if taken:
            self.book.remember(**{POSITION: str(self._position)})

    def _tell(self) -> None:
        """Reports, leases, heartbeats and states."""
        self._showing.show_when_due()  # before runs that are over are settled and forgotten
        if not self.book.is_blocked or not self.book.problem:
            self.book.tell_changes(self._speaker())
        self.book.commit()
        self._outbox.poll()
        self._metrics.reports.inc(self.book.take_confirmations())
        self._metrics.runs.set(len(self.book.running))
        self._metrics.waiting_reports.set(len(self._outbox))
        self._metrics.heartbeat_age.set(boottime_s() - self._pulse.confirmed_s)
        if self._registered:
            self._leases.renew(self._speaker())
            self._beat()
            self._say_state()
        now = time.monotonic()
        if now - self._pruned_at > _PRUNE_INTERVAL_S:
            self._pruned_at = now
            self.book.prune()

    def _beat(self) -> None:
        now = time.monotonic()
        if now < self._beat_at:
            return
        self._beat_at = now + self._options.heartbeat_interval_s
        self._seq += 1
        self._pulse.heartbeat(
            Heartbeat(
                event_time_ms=_now_ms(),
                agent_id=self._options.name,
                hostname=self._options.hostname,
                seq=self._seq,
                epoch=self._epoch,
                installation_id=self._installation_id,
                state=self._said_state,
                runs=len(self.book.running),
            )
        )

    def _say_state(self) -> None:
        if self._state == DRAINING and not self.book.running:
            self._set_state(DRAINED)
        now = time.monotonic()
        held = frozenset(f"{status.key}/{status.pid}" for status in self.book.running)
        told, self._state_told = self._state_told, (self._said_state, held)
        is_urgent = told is None or told[0] != self._said_state or self._state_is_lost
        if is_urgent or (told and told[1] != held and now - self._state_at > _STATE_INTERVAL_S):
            self._state_at, self._state_is_lost = now, False
            self._pulse.state(self._describe(), self._lose_state)
        else:
            self._state_told = told

    def _lose_state(self) -> None:
        self._state_is_lost = True

    def _describe(self) -> AgentState:
        options = self._options
        return AgentState(
            event_time_ms=_now_ms(),
            agent_id=options.name,
            hostname=options.hostname,
            version=version("mcenter-stream"),
            labels=options.labels,
            pipelines=[_pipeline(status) for status in self.book.running[:_MOST_PIPELINES]],
            state=self._said_state,
            epoch=self._epoch,
            installation_id=self._installation_id,
            address=options.address or options.hostname,
            cpus=options.usable_cpus,
            memory_bytes=options.usable_memory_bytes,
            runners=sorted(self._runners),
        )

    def _set_state(self, state: str) -> None:
        self._state = state
        # That it is removed is its last word: for the control plane nothing runs on it from then on.
        self._said_state = DRAINING if state == REMOVED else state
        self.book.remember(**{STATE: state})

    def _standing(self) -> Standing:
        return Standing(
            agent_id=self._options.name, epoch=self._epoch, state=self._state, runners=self._runners.keys()
        )

    def _speaker(self) -> Speaker:
        return Speaker(agent_id=self._options.name, epoch=self._epoch)

    def _is_removed(self) -> bool:
        is_idle = not self.book.running and not self.book.is_blocked
        return self._state == REMOVED and is_idle and self._registered is not None

    def _give_up_runs(self) -> None:
        """Somebody else has the name: whatever runs may be started there."""
        _LOG.error(self._is_superseded)
        self._registered = None  # no more heartbeats and renewals under the name
        for status in self.book.running:
            outcome: Outcome = "lease_lost" if status.spec.running.placement == "movable" else "stopped"
            self.book.stop(status, "another installation has taken the agent's name", outcome)
        self._await_ends(_STOPPING_S)

    def _stop_runs(self) -> None:
        """The agent was asked to stop what runs before it ends."""
        running = self.book.running
        for status in running:
            self.book.stop(status, "its agent was stopped")
        longest_ms = max((status.spec.running.stop_grace for status in running), default=0)
        self._await_ends(longest_ms / 1000 + _STOPPING_S)

    def _await_ends(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while self.book.running and time.monotonic() < deadline:
            self.turned_at = time.monotonic()
            self.book.look()
            self._tell()
            self._pulse.poll(_TICK_S)

    def _say_last_words(self) -> None:
        self.book.look()
        if self._epoch:
            self.book.tell_changes(self._speaker())
            self.book.commit()
            self._outbox.flush(_LAST_WORDS_S)
            self.book.take_confirmations()
        if self._registered and not self._is_superseded:
            self._said_state = REMOVED if self._is_removed() else ENDED
            self._pulse.state(self._describe(), lambda: None)
        self._pulse.flush(_LAST_WORDS_S)


def _pipeline(status: RunStatus) -> PipelineState:
    return PipelineState(
        mlapp_id=status.spec.mlapp_id,
        node_id=status.spec.node_id,
        pipeline_instance_id=status.spec.pipeline_instance_id,
        state="running" if status.starts else "starting",
        pid=status.pid,
        since_ms=status.changed_at_ms,
        message=status.message[:200],
        run_id=status.key.run_id,
        attempt=status.key.attempt,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
