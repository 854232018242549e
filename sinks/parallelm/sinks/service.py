"""The sink as a process: waits for the warehouse, runs until it is asked to stop, ends cleanly."""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
from typing import TYPE_CHECKING, Protocol

from clickhouse_driver import errors as driver_errors

from parallelm.connections.shards import ShardMap
from parallelm.sinks.backoff import Backoff
from parallelm.sinks.errors import DatabaseRefusesError, DatabaseUnavailableError, NotReadyError
from parallelm.sinks.metrics import SinkMetrics
from parallelm.sinks.server_errors import Kind, kind_of
from parallelm.sinks.sink import Sink
from parallelm.warehouse.errors import WarehouseError
from parallelm.warehouse.migrations import status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelm.connections import Settings
    from parallelm.sinks.options import SinkOptions, Stop

_SWITCH_INTERVAL_S = 0.001
"""An insert goes on within this time, while the polling thread decodes the records of the next one."""

_LOG = logging.getLogger(__name__)


class Watch(Protocol):
    """Takes questions about health, for whoever supervises the process."""

    def __call__(self, *, hangs: Callable[[], str], stalls: Callable[[], str]) -> None:
        """Ask these whether it hangs, and whether it gets on with no work; empty answers mean no."""


def run_sink(
    settings: Settings,
    options: SinkOptions,
    stop: Stop,
    on_ready: Callable[[], None],
    watch: Watch | None = None,
) -> None:
    """Run a sink until ``stop`` is set; ``on_ready`` is called once it has its partitions.

    Raises ``SinkError`` when it cannot continue.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    wait_for_warehouse(settings, options.retry_limit_s, stop)
    if not stop.is_set():
        sink = Sink(settings, options, SinkMetrics(), on_assigned=on_ready)
        if watch is not None:
            watch(hangs=sink.hangs, stalls=sink.stalls)
        sink.run(stop)


def wait_for_warehouse(settings: Settings, limit_s: float, stop: Stop) -> None:
    """Return once ClickHouse answers, of several shards one, and the migrations are those of this code.

    Raises ``NotReadyError`` when they are not, ``SinkError`` when it did not answer for ``limit_s`` or refuses these
    settings.
    """
    backoff = Backoff(limit_s)
    places = [
        dataclasses.replace(settings, clickhouse=shard.reached_by(settings.clickhouse))
        for shard in ShardMap.of(settings.clickhouse).shards
    ]
    while not stop.is_set():
        try:
            _check_shards(places)
        except DatabaseUnavailableError as error:
            backoff.failed(time.monotonic(), error)
            stop.wait(1.0)
            continue
        return


def _check_shards(places: Sequence[Settings]) -> None:
    """Raise ``DatabaseUnavailableError`` when no shard answers; what is there of others goes on without one."""
    away = []
    for place in places:
        try:
            _check_migrated(place)
        except DatabaseUnavailableError as error:
            _LOG.warning("%s", error)
            away.append(error)
    if len(away) == len(places):
        raise away[0]


def _check_migrated(settings: Settings) -> None:
    clickhouse = settings.clickhouse
    try:
        pending = status(settings).pending
    except WarehouseError as error:
        raise NotReadyError(str(error)) from error
    except (driver_errors.Error, OSError, EOFError) as error:
        if isinstance(error, driver_errors.ServerException) and kind_of(error.code) is Kind.STOP:
            raise DatabaseRefusesError(
                f"ClickHouse at {clickhouse.host}:{clickhouse.port} cannot be used with user {clickhouse.user!r} and "
                f"database {clickhouse.database!r}: {error}"
            ) from error
        raise DatabaseUnavailableError(
            f"ClickHouse does not answer at {clickhouse.host}:{clickhouse.port}: {error}"
        ) from error
    if pending:
        raise NotReadyError(
            f"{len(pending)} migrations of database {clickhouse.database!r} are pending at {clickhouse.host}:"
            f"{clickhouse.port}: run `mcenter warehouse migrate`"
        )
