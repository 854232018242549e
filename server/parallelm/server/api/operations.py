"""Operations: how far the platform is behind, which processes run, how late it stores, and how long it keeps."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from fastapi import Depends, Request

from parallelm.operations.lag import group_lags
from parallelm.server.access.dependencies import require
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Moment, moment_of
from parallelm.server.context import context_of
from parallelm.server.local_processes import LocalProcess, local_processes
from parallelm.warehouse.retention import retention

ROUTER: Final = resource("operations")
_READS: Final = [Depends(require("operations.read"))]


class ConsumerGroup(Answer):
    """Processes that read topics together."""

    group: str
    members: int
    records: int
    """Records that they have not handled yet."""
    by_topic: dict[str, int]


class Consumer(Answer):
    """A process that is a member of a consumer group: a sink, processors, a notifier."""

    group: str
    client_id: str
    instance_id: str
    """By which the brokers know it after a restart; empty: it has none."""
    host: str
    partitions: int


class Service(Answer):
    """A process of the local stack."""

    name: str
    state: str
    """`waiting`, `starting`, `ready`, `unhealthy`, `working`, `stopped` or `died`."""
    pid: int | None
    since: Moment | None
    restarts: int
    address: str
    last_error: str


class Processes(Answer):
    """What runs."""

    consumers: list[Consumer]
    services: list[Service]
    """Of the local stack that this server belongs to; none elsewhere."""


class StoredTable(Answer):
    """What sinks have stored in the last hour."""

    table_name: str
    blocks: int
    records: int
    rows: int
    dead_letters: int
    median_delay_ms: float
    """From Kafka to the table."""
    worst_delay_ms: float
    inserted_at: Moment


class Retention(Answer):
    """How long a table keeps its rows."""

    setting: str
    table: str
    wanted_days: int
    """0: for ever."""
    current_days: int | None
    """0: for ever; null: by a rule of somebody else."""
    differs: bool


@ROUTER.get("/operations/lag", dependencies=_READS)
def list_consumer_groups(request: Request) -> list[ConsumerGroup]:
    """Consumer groups of this installation."""
    return [ConsumerGroup.model_validate(each) for each in group_lags(context_of(request).settings)]


@ROUTER.get("/operations/processes", dependencies=_READS)
def list_processes(request: Request) -> Processes:
    """Processes that read topics, on every host, and the services of a local stack."""
    return Processes(
        consumers=[
            Consumer(group=group.group, **asdict(each))
            for group in group_lags(context_of(request).settings)
            for each in group.consumers
        ],
        services=[
            Service(since=moment_of(each.since_ms), **_without_since(each)) for each in local_processes()
        ],
    )


def _without_since(process: LocalProcess) -> dict[str, Any]:
    return {name: value for name, value in asdict(process).items() if name != "since_ms"}


@ROUTER.get("/operations/ingestion", dependencies=_READS)
def list_stored_tables(request: Request) -> list[StoredTable]:
    """How late the sinks have stored in the last hour, by table."""
    from parallelm.warehouse.queries.ingestion import delays_by_table

    return [StoredTable.model_validate(each) for each in delays_by_table(context_of(request).settings)]


@ROUTER.get("/operations/retention", dependencies=_READS)
def list_retention(request: Request) -> list[Retention]:
    """How long tables keep their rows, and how long the settings ask for."""
    return [Retention.model_validate(each) for each in retention(context_of(request).settings)]
