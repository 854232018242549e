"""Checks of ClickHouse and of the warehouse in it: version, migrations, and whether tables and views match them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from parallelm.mcenter.doctor.check import Check, ok, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import ClickHouseSettings, Settings


def warehouse_checks(settings: Settings, timeout_s: float) -> Iterator[Check]:
    """All checks of the warehouse; nothing is written."""
    clickhouse = dataclasses.replace(
        settings.clickhouse, connect_timeout_s=timeout_s, query_timeout_s=timeout_s
    )
    server = _server(clickhouse)
    yield server
    if not server.remedy:
        yield from _tables(dataclasses.replace(settings, clickhouse=clickhouse))


def _server(clickhouse: ClickHouseSettings) -> Check:
    from clickhouse_driver.errors import Error

    from parallelm.connections.clickhouse import clickhouse_client
    from parallelm.warehouse.errors import ServerTooOldError
    from parallelm.warehouse.server_version import has_database, require_server

    where = f"{clickhouse.host}:{clickhouse.port}"
    client = clickhouse_client(clickhouse, database="default")
    try:
        version = require_server(client)
        is_there = has_database(client, clickhouse.database)
    except ServerTooOldError as error:
        return problem("clickhouse", f"{where} cannot be used", str(error))
    except (Error, OSError, EOFError) as error:
        remedy = (
            "is it running, are host, port, user and password right? A local one starts with `mcenter up`"
        )
        return problem("clickhouse", f"{where} cannot be used: {str(error).splitlines()[0]}", remedy)
    finally:
        client.disconnect()
    if not is_there:
        return problem(
            "clickhouse",
            f"{where} has no database {clickhouse.database!r}",
            "run `mcenter warehouse migrate`",
        )
    return ok("clickhouse", f"{where} answers, version {version}, database {clickhouse.database}")


def _tables(settings: Settings) -> Iterator[Check]:
    from clickhouse_driver.errors import Error

    from parallelm.warehouse import WarehouseError, drift, status

    try:
        found = status(settings)
        differences = drift(settings)
    except (Error, OSError, EOFError, WarehouseError) as error:
        yield problem("warehouse", "its tables cannot be checked", str(error).splitlines()[0])
        return
    if found.pending:
        yield problem(
            "warehouse", f"{len(found.pending)} migrations are pending", "run `mcenter warehouse migrate`"
        )
    for difference in differences:
        yield problem("warehouse", difference.what, difference.remedy)
    if not found.pending and not differences:
        yield ok("warehouse", f"{len(found.applied)} migrations, all tables and views match them")
