"""Checks of ClickHouse and of the warehouse in it: version, migrations, and whether tables and views match them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from parallelm.mcenter.doctor.check import Check, note, ok, problem
from parallelm.operations.words import counted

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
        if clickhouse.cluster or clickhouse.shards:
            yield _shards(clickhouse)
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


def _shards(clickhouse: ClickHouseSettings) -> Check:
    from clickhouse_driver.errors import Error

    from parallelm.connections import ConfigurationError
    from parallelm.connections.clickhouse import clickhouse_client
    from parallelm.connections.shards import ShardMap
    from parallelm.warehouse.server_version import shard_count

    try:
        written = len(ShardMap.of(clickhouse).shards)
        with clickhouse_client(clickhouse, database="default") as client:
            read = shard_count(client, clickhouse.cluster)
    except (ConfigurationError, Error, OSError, EOFError) as error:
        return problem("shards", "they cannot be checked", str(error).splitlines()[0])
    if not clickhouse.cluster:
        remedy = "name the cluster that reads them all in [clickhouse] cluster"
        return note("shards", f"sinks write to {written} shards, each of which is read by itself", remedy)
    if not read:
        known = f"{clickhouse.host}:{clickhouse.port} knows no cluster {clickhouse.cluster!r}"
        return problem("shards", known, "add it to remote_servers on every host")
    if read != written:
        remedy = (
            "let [clickhouse] shards and remote_servers have the same shards: rows on others are not seen"
        )
        return problem(
            "shards", f"sinks write to {written}, cluster {clickhouse.cluster!r} reads {read}", remedy
        )
    return ok("shards", f"sinks write to {written}, and cluster {clickhouse.cluster!r} reads as many")


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
            "warehouse", counted(len(found.pending), "pending migration"), "run `mcenter warehouse migrate`"
        )
    for difference in differences:
        yield problem("warehouse", difference.what, difference.remedy)
    if not found.pending and not differences:
        yield ok("warehouse", f"{len(found.applied)} migrations, all tables and views match them")
        yield from _erasures(settings)


def _erasures(settings: Settings) -> Iterator[Check]:
    from clickhouse_driver.errors import Error

    from parallelm.warehouse.queries.erasures import erased

    try:
        found = erased(settings)
    except (Error, OSError, EOFError) as error:
        yield problem("erasures", "they cannot be checked", str(error).splitlines()[0])
        return
    for each in found:
        if not each.is_done:
            yield problem(
                "erasures", f"that of {each.target} was begun and has not come to its end", "erase it again"
            )
        elif each.rows_since:
            yield problem(
                "erasures",
                f"{each.rows_since} rows of {each.target} have come since it was erased, and it is not defined",
                "stop what reports it, and erase it again",
            )
