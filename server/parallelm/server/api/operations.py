"""Operations: how far the platform is behind, how late it stores, and how long it keeps."""

from __future__ import annotations

from typing import Final

from fastapi import Depends, Request

from parallelm.operations.lag import group_lags
from parallelm.server.access.dependencies import require
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Moment
from parallelm.server.context import context_of
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
    settings = context_of(request).settings
    found = [each for each in group_lags(settings) if each.group.startswith(settings.kafka.topic_prefix)]
    return [ConsumerGroup.model_validate(each) for each in found]


@ROUTER.get("/operations/ingestion", dependencies=_READS)
def list_stored_tables(request: Request) -> list[StoredTable]:
    """How late the sinks have stored in the last hour, by table."""
    from parallelm.warehouse.queries.ingestion import delays_by_table

    return [StoredTable.model_validate(each) for each in delays_by_table(context_of(request).settings)]


@ROUTER.get("/operations/retention", dependencies=_READS)
def list_retention(request: Request) -> list[Retention]:
    """How long tables keep their rows, and how long the settings ask for."""
    return [Retention.model_validate(each) for each in retention(context_of(request).settings)]
