"""Life cycle of the library: what is open, who this component is, and what time its reports carry."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from parallelm.mlops._outputs.standalone import StandAloneOutput
from parallelm.mlops._reporting.samples import SampleQueue
from parallelm.mlops._session.environment import ComponentEnvironment, read_environment
from parallelm.mlops._session.event_time import (
    check_units,
    event_time_block,
    now_ns,
    now_s,
    parse_time_ns,
    set_process_event_time,
)
from parallelm.mlops.constants import Versions
from parallelm.mlops.mlops_exception import MLOpsException, SuppressException
from parallelm.mlops.mlops_mode import MLOpsMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from parallelm.connections import Settings
    from parallelm.mlops._outputs.output import Output

_log = logging.getLogger("parallelm.mlops")


CONNECTED_MODES = (MLOpsMode.AGENT, MLOpsMode.ATTACH)
"""Modes that have a platform."""

_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


class Session:
    """State that every call shares. Thread-safe: only ``init`` and ``done`` change it, under a lock."""

    def __init__(self) -> None:
        self._queue = SampleQueue()
        self._lock = threading.RLock()
        self._output: Output | None = None
        self._last_output: Output | None = None
        self._mode = MLOpsMode.STAND_ALONE
        self._environment = ComponentEnvironment("", "", "", "", "")
        self._settings: Settings | None = None
        self._done_called = False
        self._test_mode = False
        self._api_test_mode = False
        self._uuid = ""
        self._capturing: Output | None = None
        _sessions.add(self)

    # ---- life cycle ---------------------------------------------------------------------------------------------

    def init(
        self,
        ctx: Any = None,  # noqa: ARG002 - a Spark context, which older components pass; reports do not need it
        connect_mlops: bool = False,
        version: str | None = None,
        mlops_mode: MLOpsMode | str | None = None,
    ) -> None:
        """Open the library: in ``mlops_mode``, else the mode that PM_MLOPS_MODE names, else stand-alone.

        Touches no network, unless PM_MLOPS_MODEL_ID names the model that this component works with: that one is asked
        for, within ``MCENTER_COMPONENT_QUERY_TIMEOUT_S``. A second call warns and returns. Raises ``MLOpsException`` for
        versions that are not supported, unknown modes and settings that cannot be read.
        """
        with self._lock:
            if self._capturing is not None:
                Versions.check(version)
                _mode(mlops_mode)
                self._output, self._done_called = self._capturing, False
                self._api_test_mode = False
                return
            if self._output is not None:
                _log.warning("init() was called again without done() between; the second call does nothing")
                return
            Versions.check(version)
            mode = _mode(mlops_mode)
            if mode is MLOpsMode.STAND_ALONE and connect_mlops:
                raise MLOpsException("connect_mlops=True needs a mode that connects; stand-alone does not")
            self._use_event_time(os.environ.get("MCENTER_EVENT_TIME"))
            self._environment = read_environment(connected=mode in CONNECTED_MODES)
            self._open(mode)
            self._mode = mode
            self._done_called = self._api_test_mode = False
            self._opened()
        atexit.unregister(self._at_exit)
        atexit.register(self._at_exit)

    def attach(
        self,
        mlapp_id: str,
        mlops_server: str = "localhost",  # noqa: ARG002 - of the server that hands out profiles; not needed with one
        mlops_port: str = "3456",  # noqa: ARG002 - as mlops_server
        user: str = "admin",
        password: str | None = None,
    ) -> None:
        """Act for an MLApp from anywhere, for example from a notebook, in mode ATTACH.

        Where the platform is, the profile says: ``component.toml``, ``mcenter.toml`` or ``MCENTER_…``. With a
        ``password``, user and password take the place of the profile's for ClickHouse. Raises ``MLOpsConnectionException`` when ClickHouse
        does not let them in or gives no answer in time, ``MLOpsException`` when the library is open already.
        """
        from parallelm.mlops._questions.platform import Platform

        if not isinstance(mlapp_id, str) or not mlapp_id:
            raise MLOpsException(f"mlapp_id must be the id of an MLApp, not {mlapp_id!r}")
        settings = read_settings()
        if password is not None:
            import dataclasses

            clickhouse = dataclasses.replace(settings.clickhouse, user=user, password=password)
            settings = dataclasses.replace(settings, clickhouse=clickhouse)
        with self._lock:
            if self._output is not None:
                raise MLOpsException("the library is open already: call done() before attach()")
            Platform(settings).rows("SELECT 1", {})
            self._use_event_time(os.environ.get("MCENTER_EVENT_TIME"))
            self._environment = read_environment(connected=True)._replace(mlapp_id=mlapp_id)
            self._connect(settings)
            self._mode = MLOpsMode.ATTACH
            self._done_called = self._api_test_mode = False
            self._opened()
        atexit.unregister(self._at_exit)
        atexit.register(self._at_exit)

    def done(self) -> None:
        """Send everything that is waiting and close; raises ``MLOpsException`` when the library is not open.

        Takes ``MCENTER_COMPONENT_CLOSE_TIMEOUT_S`` (2 s) at most when the broker is away.
        """
        with self._lock:
            output = self._opened_output()
            self._queue.room = 0
            self._output, self._last_output = None, output
            self._done_called = True
            output.close()

    @property
    def init_called(self) -> bool:
        """True while the library is open."""
        return self._output is not None

    @property
    def done_called(self) -> bool:
        """True after ``done()``, until the next ``init()``."""
        return self._done_called

    def _at_exit(self) -> None:
        if self._output is not None:
            self.done()

    @contextmanager
    def _captured_by(self, output: Output) -> Iterator[None]:
        """Send reports to ``output`` in the block, whatever is open."""
        with self._lock:
            before = (self._output, self._queue.room, self._environment, self._mode, self._capturing)
            said_before = (self._done_called, self._api_test_mode)
            self._environment = read_environment(connected=False)
            self._mode, self._queue.room = MLOpsMode.STAND_ALONE, 0
            self._output = self._capturing = output
            self._done_called = self._api_test_mode = False
        try:
            yield
        finally:
            with self._lock:
                self._output, self._queue.room, self._environment, self._mode, self._capturing = before
                self._done_called, self._api_test_mode = said_before

    def after_fork_in_child(self) -> None:
        """Another thread of the parent may have held the lock when it forked; here nobody would let go of it."""
        self._lock = threading.RLock()
        if self._output is not None:
            self._output.after_fork_in_child()

    def _open(self, mode: MLOpsMode) -> None:
        """Make the output of a mode."""
        if mode is MLOpsMode.STAND_ALONE:
            self._output = StandAloneOutput(os.environ.get("PM_MLOPS_FILE", ""), self._environment.agent_id)
        elif mode is MLOpsMode.REST_ACCUMULATOR:
            from parallelm.mlops._outputs.accumulator import AccumulatorOutput

            self._output = AccumulatorOutput()
        else:
            self._connect(read_settings())

    def _connect(self, settings: Settings) -> None:
        from parallelm.mlops._outputs.kafka import KafkaOutput

        output = KafkaOutput(settings, self._environment, self._queue)
        output.send_left_behind()
        self._settings, self._output = settings, output

    def _opened(self) -> None:
        """Called at the end of ``init()``, for the parts of the facade."""

    def _opened_output(self) -> Output:
        output = self._output
        if output is None:
            raise MLOpsException("Must call init() before using mlops library")
        return output

    def dropped(self) -> dict[str, int]:
        """How many reports this process dropped since ``init()``, by reason; still known after ``done()``.

        Reasons: ``queue_full`` (the broker was away for too long), ``too_large`` (a record above 1 MB),
        ``not_delivered`` (the broker refused it), ``not_encoded``, ``closed`` (``done()`` ran out of time),
        ``spool_damaged`` (a file of the spool was cut or damaged).
        """
        output = self._output or self._last_output
        return output.dropped() if output else {}

    def suppress_connection_errors(self, suppress: bool) -> None:
        """When on, calls that could not reach the platform log a warning in place of raising."""
        SuppressException.set_suppress(suppress)

    @property
    def test_mode(self) -> bool:
        """Whether this component runs as a test; kept for components that ask."""
        return self._test_mode

    def _set_test_mode(self, value: bool) -> None:
        self._test_mode = bool(value)

    def _set_api_test_mode(self) -> None:
        """From now on arguments are validated, and nothing is sent or asked."""
        from parallelm.mlops._outputs.accumulator import AccumulatorOutput

        with self._lock:
            output = self._opened_output()
            self._queue.room = 0
            self._api_test_mode = True
            self._output = AccumulatorOutput()
            output.close()

    def get_uuid(self) -> str:
        """Id of this run: the one that was set, else a fresh one that stays."""
        if not self._uuid:
            import uuid

            self._uuid = str(uuid.uuid4())
        return self._uuid

    def set_uuid(self, uuid: str) -> Self:
        """Set the id of this run."""
        self._uuid = uuid
        return self

    def get_stats_map(self) -> dict[str, Any]:
        """The newest value of each statistic, by name; kept in mode rest_accumulator only."""
        from parallelm.mlops._outputs.accumulator import AccumulatorOutput

        output = self._opened_output()
        return output.stats_map() if isinstance(output, AccumulatorOutput) else {}

    # ---- event time ---------------------------------------------------------------------------------------------

    @contextmanager
    def event_time(self, ts: datetime | str | float, units: str | None = None) -> Iterator[None]:
        """Give every report in the block the event time ``ts``, unless it is given a timestamp of its own.

        For replays, back-fills and batch scoring of the past. Holds for this thread or task only. ``ts`` is a datetime,
        a text in ISO 8601 (both UTC unless they name a zone), or a number of ``units`` since the epoch.
        """
        given = parse_time_ns(ts, units, default_units=None)
        self._queue.clock = now_s
        with event_time_block(given):
            yield

    def _use_event_time(self, text: str | None) -> None:
        set_process_event_time(parse_time_ns(text, default_units=None) if text else None)
        if text:
            self._queue.clock = now_s

    def _time_ns(self, timestamp: Any = None, units: str | None = None) -> int:
        if timestamp is None:
            check_units(units)
            return now_ns()
        return parse_time_ns(timestamp, units)


def read_settings() -> Settings:
    """Settings of the platform, of its components' profile; raises ``MLOpsException`` where they are wrong."""
    from pathlib import Path

    from parallelm.connections.settings import ConfigurationError, component_settings_file, load_settings

    try:
        return load_settings(file=component_settings_file(os.environ, Path.cwd()))
    except ConfigurationError as error:
        raise MLOpsException(str(error)) from error


def _mode(asked: MLOpsMode | str | None, environ: Mapping[str, str] = os.environ) -> MLOpsMode:
    if asked is None:
        asked = environ.get("PM_MLOPS_MODE") or MLOpsMode.STAND_ALONE
    return asked if isinstance(asked, MLOpsMode) else MLOpsMode.from_str(asked)


def _after_fork_in_child() -> None:
    for session in list(_sessions):
        session.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
