"""Clients of ClickHouse's native protocol."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections.settings import ClickHouseSettings


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = record.exc_text = None
    return True


# The driver logs a traceback for each address that does not answer. Callers get the exception: one line is enough, and
# where nobody has set up logging, none.
logging.getLogger("clickhouse_driver").addHandler(logging.NullHandler())
logging.getLogger("clickhouse_driver.connection").addFilter(_without_traceback)


def clickhouse_client(clickhouse: ClickHouseSettings, *, database: str | None = None, **more: Any) -> Client:
    """A new client, not connected yet and for one thread only. ``more`` goes to ``clickhouse_driver.Client``.

    With settings that are ``read_only`` the server refuses every change, even from a user with more rights.

    ``database`` replaces the configured one: ``"default"`` where the configured one may not exist yet.
    """
    from clickhouse_driver import Client

    from parallelm.connections.reading_client import ReadingClient

    tls = {"secure": True, "ca_certs": clickhouse.ca_certs or None} if clickhouse.secure else {}
    options: dict[str, Any] = {
        "compression": "lz4",
        "connect_timeout": clickhouse.connect_timeout_s,
        "send_receive_timeout": clickhouse.query_timeout_s,
    }
    if clickhouse.alt_hosts:
        options["alt_hosts"] = clickhouse.alt_hosts
    kind = ReadingClient if clickhouse.read_only else Client
    return kind(
        host=clickhouse.host,
        port=clickhouse.port,
        user=clickhouse.user,
        password=clickhouse.password,
        database=clickhouse.database if database is None else database,
        **(options | tls | more),
    )
