"""The notifier as a process: stands by, is elected, works, and goes on after the broker was away."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from parallelm.connections.rate_limit import RateLimit
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import ClusterUnavailableError, RegistryUnavailableError
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_admin import connect, topic_ids
from parallelm.schemas.topics import ALERTS, DEPLOYMENTS, NOTIFICATIONS, NOTIFIER_STATE, SILENCES
from parallelm.schemas.well_known import NOTIFIER_GROUP
from parallelm.stream_processors.notifications.edge import metrics
from parallelm.stream_processors.notifications.edge.dispatcher import Dispatcher
from parallelm.stream_processors.notifications.edge.election import Election
from parallelm.stream_processors.notifications.edge.errors import (
    FencedInstanceError,
    NotifierError,
    SessionLostError,
)
from parallelm.stream_processors.notifications.edge.health import NotifierHealth
from parallelm.stream_processors.notifications.edge.session import Session
from parallelm.stream_processors.notifications.edge.store import StateStore
from parallelm.stream_processors.notifications.edge.targets import make_targets
from parallelm.stream_processors.runtime.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.definitions.notifications import NotificationRules

logger = logging.getLogger(__name__)

_TOPICS = (ALERTS, DEPLOYMENTS, SILENCES, NOTIFICATIONS, NOTIFIER_STATE)
_POLL_S = 0.2
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 5.0
_TIMEOUT_S = 10.0
_FENCE_WINDOW_S = 60.0
_LOOP_LIMIT_S, _STOP_LIMIT_S = 60, 30
"""Longer than all waits for a broker that one step may hold, and the end of the last one."""
_AWAY = (SessionLostError, ClusterUnavailableError, RegistryUnavailableError)


class Stop(Protocol):
    """Says when the notifier is to end."""

    def is_set(self) -> bool:
        """Whether it is."""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for it."""


class Watch(Protocol):
    """Takes questions about health, for whoever supervises the process."""

    def __call__(self, *, hangs: Callable[[], str], stalls: Callable[[], str]) -> None:
        """Ask these whether it hangs, and whether it gets on with no work; empty answers mean no."""


def run_notifier(
    settings: Settings,
    rules: NotificationRules,
    stop: Stop,
    on_ready: Callable[[], None],
    *,
    session_timeout_s: float = 10.0,
    instance_id: str = "",
    watch: Watch | None = None,
) -> None:
    """Run one notifier until ``stop`` is set. ``on_ready`` is called once it works, or stands by.

    With an ``instance_id`` that stays the same, a notifier that is started again after a kill goes on at once. Raises
    ``NotifierError`` when two have the same one, ``TopicsError`` when a topic is missing and ``UnknownSchemaError`` for
    records of a newer version. A broker or registry that is away is waited for. A process that hangs is ended hard.
    """
    # Their lines would show URLs.
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    logging.getLogger("requests").setLevel(logging.CRITICAL)
    prefix = settings.kafka.topic_prefix
    admin, _ = connect(settings, _TIMEOUT_S)
    topic_ids(admin, (topic.full_name(prefix) for topic in _TOPICS), _TIMEOUT_S)
    codec = Codec(make_registry(settings.schema_registry, prefix))
    dispatcher = Dispatcher(make_targets(rules))
    limit, wait_s = RateLimit(), _FIRST_WAIT_S
    stop = _Watched(stop)
    ready, fences = _Once(stop.health.works, on_ready), _Fences()
    if watch is not None:
        health = stop.health
        watch(hangs=lambda: health.hangs(time.monotonic()), stalls=lambda: health.stalls(time.monotonic()))
    while not stop.is_set():
        election = Election(settings, f"{prefix}{NOTIFIER_GROUP}", session_timeout_s, instance_id)
        try:
            while not stop.is_set() and not election.poll(_POLL_S):
                if election.has_joined:
                    ready()
            if not stop.is_set():
                session = Session(settings, codec, rules, election, dispatcher, session_timeout_s)
                _work(session, StateStore(settings, codec, f"{prefix}{NOTIFIER_GROUP}"), stop, ready)
                wait_s = _FIRST_WAIT_S
        except _AWAY as error:
            if isinstance(error, FencedInstanceError):
                fences.note(error)
            stop.health.is_away(str(error), time.monotonic())
            if limit.allows():
                logger.warning("%s; the notifier joins again", error)
            stop.wait(wait_s)
            wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)
        finally:
            metrics.IS_ACTIVE.set(0)
            election.close()
    stop.ended()


def _work(session: Session, store: StateStore, stop: Stop, ready: Callable[[], None]) -> None:
    try:
        session.open(store)
        metrics.IS_ACTIVE.set(1)
        logger.info("this notifier sends")
        session.run(stop.is_set, ready)
    finally:
        session.close()
        store.close()


class _Watched:
    """Whoever asks whether to stop goes on: a client that hangs would hold the election, and nobody would be told of anything."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self.health = NotifierHealth(time.monotonic())
        self._watchdog = Watchdog(
            what="the notifier's loop", loop_limit_s=_LOOP_LIMIT_S, stop_limit_s=_STOP_LIMIT_S
        )
        self._watchdog.start()

    def is_set(self) -> bool:
        """Whether it is to end."""
        self._beat()
        if self._stop.is_set():
            self._watchdog.stopping()
        return self._stop.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for it."""
        self._beat()
        return self._stop.wait(timeout_s)

    def ended(self) -> None:
        """The process ends by itself."""
        self._watchdog.ended()

    def _beat(self) -> None:
        self.health.runs(time.monotonic())
        self._watchdog.beat()


class _Once:
    """Calls one function every time, and another one the first time only."""

    def __init__(self, always: Callable[[], None], function: Callable[[], None]) -> None:
        self._always = always
        self._function = function
        self._called = False

    def __call__(self) -> None:
        self._always()
        if not self._called:
            self._called = True
            self._function()


class _Fences:
    """A member that lost its broker may meet its own former self once; two that have one name fence each other for ever."""

    def __init__(self) -> None:
        self._at = float("-inf")

    def note(self, error: FencedInstanceError) -> None:
        """Note that it was fenced; raises ``NotifierError`` the second time in a minute."""
        before, self._at = self._at, time.monotonic()
        if self._at - before < _FENCE_WINDOW_S:
            raise NotifierError(f"{error} as well: give each notifier its own") from error
