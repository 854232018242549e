"""The sink as a process: waits for the warehouse, runs until it is asked to stop, ends cleanly."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Protocol

from clickhouse_driver import errors as driver_errors

from parallelm.sinks.backoff import Backoff
from parallelm.sinks.errors import DatabaseRefusesError, DatabaseUnavailableError, NotReadyError
from parallelm.sinks.metrics import SinkMetrics
from parallelm.sinks.server_errors import Kind, kind_of
from parallelm.sinks.sink import Sink
from parallelm.warehouse.errors import WarehouseError
from parallelm.warehouse.migrations import status

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """Return once ClickHouse answers and its migrations are those of this code.

    Raises ``NotReadyError`` when they are not, ``SinkError`` when it did not answer for ``limit_s`` or refuses these
    settings.
    """
    backoff = Backoff(limit_s)
    while not stop.is_set():
        try:
            pending = status(settings).pending
        except WarehouseError as error:
            raise NotReadyError(str(error)) from error
        except (driver_errors.Error, OSError, EOFError) as error:
            clickhouse = settings.clickhouse
            if isinstance(error, driver_errors.ServerException) and kind_of(error.code) is Kind.STOP:
                raise DatabaseRefusesError(
                    f"ClickHouse at {clickhouse.host}:{clickhouse.port} cannot be used with user {clickhouse.user!r} and "
                    f"database {clickhouse.database!r}: {error}"
                ) from error
            _LOG.warning("ClickHouse does not answer yet: %s", error)
            unavailable = DatabaseUnavailableError(
                f"ClickHouse does not answer at {clickhouse.host}:{clickhouse.port}: {error}"
            )
            backoff.failed(time.monotonic(), unavailable)
            stop.wait(1.0)
            continue
        if pending:
            raise NotReadyError(
                f"{len(pending)} migrations of database {settings.clickhouse.database!r} are pending: "
                "run `mcenter warehouse migrate`"
            )
        return
