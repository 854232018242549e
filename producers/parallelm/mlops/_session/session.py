"""Life cycle of the library: opened by ``init()``, closed by ``done()`` or the end of the interpreter."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

from parallelm.mlops._outputs.modes import open_by_mode, open_connected
from parallelm.mlops._session.event_time import (
    event_time_block,
    now_s,
    parse_environment_ns,
    parse_time_ns,
    set_process_event_time,
)
from parallelm.mlops._session.late_reports import LateReports
from parallelm.mlops._session.opened import Opening
from parallelm.mlops._session.settings import warn_of_misspelt_variables
from parallelm.mlops.constants import Versions
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.stats._callers_values import quoted, refusing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelm.mlops._outputs.output import Output
    from parallelm.mlops._reporting.samples import SampleQueue
    from parallelm.mlops._session.opened import Opened, Opener
    from parallelm.schemas.times import Time

_log = logging.getLogger("parallelm.mlops")

_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


@refusing
class Session:
    """Opens and closes the library. Thread-safe: the state is one object, replaced under a lock.

    ``opener`` decides where reports go.
    """

    def __init__(self, queue: SampleQueue, opener: Opener = open_by_mode) -> None:
        self._queue = queue
        self._opener = opener
        self._when_opened: list[Callable[[Opened], None]] = []
        self._lock = threading.RLock()
        self._opened: Opened | None = None
        self._closed: Opened | None = None
        """The state that ``done()`` has closed, until the next ``init()``."""
        self._after_exit: LateReports | None = None
        """Counts reports after the exit hook has run; None before."""
        self._closing = threading.Event()
        """Set when the library that is open is closed."""
        _sessions.add(self)

    def when_opened(self, call: Callable[[Opened], None]) -> None:
        """Register ``call``, which is called with the new state at the end of every ``init()``."""
        self._when_opened.append(call)

    # ---- what is open -------------------------------------------------------------------------------------------

    def opened(self) -> Opened:
        """The open state; raises ``MLOpsException`` when the library is not open."""
        opened = self._opened
        if opened is None:
            raise MLOpsException("Must call init() before using mlops library")
        return opened

    def output(self) -> Output | None:
        """The output for a report; raises ``MLOpsException`` when the library is not open.

        None once the interpreter is ending: daemon threads, finalizers and other exit hooks may still report then,
        and must not see an exception. Each call counts as one dropped report.
        """
        if self._after_exit is not None:
            self._after_exit.add()
            return None
        return self.opened().output

    def closing(self) -> threading.Event:
        """Set when what is open now is closed, for calls that wait."""
        return self._closing

    @property
    def init_called(self) -> bool:
        """True while the library is open."""
        return self._opened is not None

    @property
    def done_called(self) -> bool:
        """True after ``done()``, until the next ``init()``."""
        return self._opened is None and self._closed is not None

    def dropped(self) -> dict[str, int]:
        """Dropped reports by reason, since ``init()``."""
        opened = self._opened or self._closed
        counts = opened.output.dropped() if opened else {}
        return counts | (self._after_exit.dropped() if self._after_exit else {})

    # ---- opening and closing ------------------------------------------------------------------------------------

    def init(
        self, connect_mlops: bool = False, version: str | None = None, mode: MLOpsMode | str | None = None
    ) -> None:
        """Open the library; a second call warns and returns."""
        with self._lock:
            if self._opened is not None and self._opened.by_init:
                _log.warning("init() was called again without done() between; the second call does nothing")
                return
            Versions.check(version)
            warn_of_misspelt_variables()
            opening = self._opening(_mode(mode), connect_mlops)
            if self._opened is not None:  # it was opened for the program, which takes over
                if self._opened.mode is opening.mode and not self._opened.validates_only:
                    self._opened = self._opened._replace(by_init=True)
                    return
                self._opened.output.close()
            self._before_opening()
            self._open(self._opener(opening))

    def open_in_worker(self, mode: MLOpsMode, mlapp_id: str, validates_only: bool) -> None:
        """Open the library in the mode of the sending process, unless it is open here already.

        A failure is logged; calls then raise as in a process without ``init()``.
        """
        with self._lock:
            if self._opened is not None or self._closed is not None:
                return
            try:
                opening = self._opening(mode, mlapp_id=mlapp_id)
                self._before_opening()
                self._open(self._opener(opening)._replace(by_init=False))
            except MLOpsException as error:
                _log.warning("the library cannot be opened in this worker process: %s", error)
            else:
                if validates_only:
                    self.validate_only()

    def as_in_worker(self) -> tuple[str, str, bool] | None:
        """Mode, MLApp and whether arguments are validated only, for ``open_in_worker``; None when nothing is open."""
        opened = self._opened
        if opened is None:
            return None
        mlapp_id = opened.environment.mlapp_id if opened.mode is MLOpsMode.ATTACH else ""
        return opened.mode.value, mlapp_id, opened.validates_only or self._opener is not open_by_mode

    def attach(self, mlapp_id: str, server: str, port: str, user: str, password: str | None) -> None:
        """Open the library for an MLApp, in mode ATTACH, once the server and ClickHouse have accepted the user."""
        from parallelm.mlops._questions.platform import Platform
        from parallelm.mlops._session.settings import read_settings
        from parallelm.warehouse.queries import check_connection

        if not isinstance(mlapp_id, str) or not mlapp_id:
            raise MLOpsException(f"mlapp_id must be the id of an MLApp, not {quoted(mlapp_id)}")
        if self._opened is not None:
            raise MLOpsException("the library is open already: call done() before attach()")
        settings = read_settings()
        if password is not None or settings.server.token:
            from parallelm.mlops._session.attaching import server_url, settings_from_server

            url = server_url(server, port, settings.server.url)
            settings = settings_from_server(settings, url, mlapp_id, user=user, password=password)
        with self._lock:
            if self._opened is not None:
                raise MLOpsException("the library is open already: call done() before attach()")
            Platform(settings).ask(check_connection)
            opening = self._opening(MLOpsMode.ATTACH, connect_mlops=True, mlapp_id=mlapp_id)
            self._before_opening()
            self._open(open_connected(opening, settings))

    def done(self) -> None:
        """Send everything that is waiting and close.

        After an interruption, for example by Ctrl-C, sending continues: the exit hook or the next ``init()`` waits for it.
        """
        with self._lock:
            if self._after_exit is not None:  # by an exit hook of the program that runs after ours
                return
            opened = self._closed = self.opened()
            self._queue.room = 0
            self._opened = None
            self._closing.set()
            opened.output.close()

    def validate_only(self) -> None:
        """Validate arguments only from now on: nothing is sent or queried."""
        from parallelm.mlops._outputs.accumulator import AccumulatorOutput

        with self._lock:
            opened = self.opened()
            self._queue.room = 0
            self._opened = opened._replace(output=AccumulatorOutput(), validates_only=True)
            opened.output.close()

    @contextmanager
    def opened_by(self, opener: Opener) -> Iterator[None]:
        """Open the library with ``opener`` in the block, where every ``init()`` uses ``opener`` as well.

        The previous state is restored afterwards.
        """
        with self._lock:
            process_id = os.getpid()
            before = (self._opener, self._opened, self._closed, self._queue.room)
            self._opener, self._closed, self._queue.room = opener, None, 0
            self._open(opener(self._opening(MLOpsMode.STAND_ALONE))._replace(by_init=False))
        try:
            yield
        finally:
            with self._lock:
                self._opener, self._opened, self._closed, self._queue.room = before
                if self._opened is not None:
                    set_process_event_time(self._opened.event_time_ns)
                    if os.getpid() != process_id:
                        self._opened.output.after_fork_in_child()

    @contextmanager
    def event_time(self, ts: Time | float, units: str | None) -> Iterator[None]:
        """Give every report of this thread or task in the block the event time ``ts``."""
        given_ns = parse_time_ns(ts, units, default_units=None)
        self._queue.take_times_from(now_s)
        with event_time_block(given_ns):
            yield

    def after_fork_in_child(self) -> None:
        """Replace the lock: another thread of the parent may have held it at the fork and does not exist here."""
        self._lock, self._closing = threading.RLock(), threading.Event()
        for one in (self._closed, self._opened):
            if one is not None:
                one.output.after_fork_in_child()

    def _opening(self, mode: MLOpsMode, connect_mlops: bool = False, mlapp_id: str = "") -> Opening:
        text = os.environ.get("MCENTER_EVENT_TIME")
        event_time_ns = parse_environment_ns(text) if text else None
        return Opening(mode, connect_mlops, event_time_ns, self._queue, mlapp_id)

    def _open(self, opened: Opened) -> None:
        set_process_event_time(opened.event_time_ns)
        if opened.event_time_ns is not None:
            self._queue.take_times_from(now_s)
        self._opened, self._after_exit = opened, None
        self._closing.set()  # of what was open before
        self._closing = threading.Event()
        for call in self._when_opened:
            call(opened)

    def _before_opening(self) -> None:
        """Register the exit hook first, so that a signal during ``init()`` cannot leave the library open without it."""
        atexit.unregister(self._at_exit)
        atexit.register(self._at_exit)
        if self._closed is not None:
            self._closed.output.close()  # done() may have been interrupted

    def _at_exit(self) -> None:
        with self._lock:
            self._closing.set()
            if self._opened is not None:
                self._queue.room = 0
                self._after_exit = LateReports()
            last = self._opened or self._closed
            if last is None:
                return
            try:
                last.output.close()  # also when done() was interrupted
            except BaseException:
                last.output.abandon()
                raise
            last.output.interpreter_ends()


def _mode(asked: MLOpsMode | str | None) -> MLOpsMode:
    if asked is None:
        asked = os.environ.get("PM_MLOPS_MODE") or MLOpsMode.STAND_ALONE
    return asked if isinstance(asked, MLOpsMode) else MLOpsMode.from_str(asked)


def _after_fork_in_child() -> None:
    for session in list(_sessions):
        session.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
