"""Events of components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.warehouse.queries._frames import Conditions, frame

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._frames import OneOrMore
    from parallelm.warehouse.queries._keyset import Keyset


def events(
    settings: Settings,
    type: str | None = None,  # noqa: A002 - the field's name
    *,
    mlapp_id: OneOrMore | None = None,
    node_id: str | None = None,
    agent_id: str | None = None,
    is_alert: bool | None = None,
    event_id: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Events by event time.

    Columns: ``event_time, type, title, description, is_alert, data, content_type, mlapp_id, node_id,
    agent_id, model_id, labels, event_id``. A range does not include its end; times without a zone are UTC.
    """
    where = Conditions().equal(type=type, mlapp_id=mlapp_id, node_id=node_id, agent_id=agent_id)
    where = where.equal(is_alert=is_alert, event_id=event_id)
    where = where.between("event_time", start, end)
    return frame(
        settings,
        f"""
        SELECT event_time, type, title, description, is_alert, data, content_type, mlapp_id, node_id, agent_id,
               model_id, labels, event_id{page.places if page else ""}
        FROM events {where}
        ORDER BY event_time, _partition, _offset
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )
