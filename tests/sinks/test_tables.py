"""Tables of topics: each stored topic has one file, and its record's fields are the table's columns."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.schemas import records
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.topics import CATALOGUE, by_name
from parallelm.sinks.columns import columns_of
from parallelm.sinks.rows import Source
from parallelm.sinks.tables import STORED_TOPICS, TABLES, row_maker

if TYPE_CHECKING:
    from parallelm.connections import Settings


def test_every_topic_that_is_not_internal_is_stored():
    assert list(STORED_TOPICS) == [topic for topic in CATALOGUE if not topic.internal]


@pytest.mark.usefixtures("tables")
def test_every_column_of_a_table_is_filled_and_no_other(settings: Settings):
    with clickhouse_client(settings.clickhouse) as client:
        for name in set(TABLES) - {"statistics"}:  # its columns have types too: see test_rows.py
            rows = row_maker(by_name(name), PackagedRegistry()).rows([], Source(name, "id", 0))
            columns = client.execute(
                "SELECT name FROM system.columns WHERE database = %(database)s AND table = %(table)s "
                "AND default_kind = ''",
                {"database": settings.clickhouse.database, "table": rows.table},
            )
            assert sorted(rows.columns) == sorted(column for (column,) in columns), name


def test_fields_become_columns_by_one_rule():
    alert, agent = columns_of(records.AlertTransition), columns_of(records.AgentState, "record")
    assert {"state", "previous_state", "cause_topic", "cause_offset", "started_at"} <= set(alert.getters)
    assert alert.times == ("event_time", "decided_at", "started_at")
    assert agent.times == ("event_time", "pipelines.since")
    definition = columns_of(records.MLAppDefinition, leave_out=["rules", "nodes.parents"])
    assert {"accept_timeout_ms", "model_policy", "nodes.consumes"} <= set(definition.getters)
    assert not {"nodes.parents", "rules.name"} & set(definition.getters)
    with pytest.raises(ValueError, match="Event has no columns nope to leave out"):
        columns_of(records.Event, leave_out=["nope"])


def test_later_columns_win():
    both = columns_of(records.KpiPoint) | columns_of(records.KpiPoint, names={"timestamp_ms": "event_time"})
    assert both.times == ("timestamp", "event_time")
    assert isinstance(both.getters["event_time"], attrgetter)
