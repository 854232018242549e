"""Statistics and events, asked for."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from parallelm.operations.json_values import plain
from parallelm.schemas.well_known import LINE_LABEL
from parallelm.server.access.dependencies import allow
from parallelm.server.api._readable import READ
from parallelm.server.api._values import from_json, moment_of, rows
from parallelm.server.compatibility._pipelines import pipeline_of
from parallelm.server.compatibility.callers import Caller
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

ROUTER: Final = APIRouter()
MOST: Final = 100_000
_LAST_MS: Final = 10_413_791_999_999


@ROUTER.get("/stats")
def statistics(
    request: Request,
    caller: Caller,
    name: Annotated[str, Query(alias="statName")],
    mlapp_id: Annotated[str, Query(alias="mlAppId")],
    node_id: Annotated[str | None, Query(alias="workflowNodeId")] = None,
    agent_id: Annotated[str | None, Query(alias="agentId")] = None,
    pipeline_id: Annotated[str | None, Query(alias="pipelineId")] = None,
    start: Annotated[int, Query(ge=-1, le=_LAST_MS)] = -1,
    end: Annotated[int, Query(ge=-1, le=_LAST_MS)] = -1,
) -> list[dict[str, Any]]:
    """Rows of a statistic: ``time`` and its values, with node and agent."""
    from parallelm.warehouse import queries

    allow(caller, READ, mlapp_id)
    if pipeline_id is not None:
        pipeline = pipeline_of(request, caller, pipeline_id, READ, of_mlapp=mlapp_id)
        if node_id not in {None, pipeline.node_id}:
            return []
        node_id = pipeline.node_id
    settings = context_of(request).settings
    chosen = {"mlapp_id": mlapp_id, "node_id": node_id, "agent_id": agent_id, **_range(start, end)}
    numbers = rows(queries.statistics(settings, name, limit=MOST, **chosen))
    found = _lines(numbers) if numbers else [
        {**_place(each), "data": from_json(each["data"]) if isinstance(each["data"], str) else each["data"]}
        for each in rows(queries.structured_statistics(settings, name, **chosen))
    ]  # fmt: skip
    shown: list[dict[str, Any]] = plain(found)
    return shown


@ROUTER.get("/events")
def events(
    request: Request,
    caller: Caller,
    mlapp_id: Annotated[str, Query(alias="ionInstanceId")],
    start: Annotated[int, Query(alias="startTime", ge=-1, le=_LAST_MS)] = -1,
    end: Annotated[int, Query(alias="endTime", ge=-1, le=_LAST_MS)] = -1,
    is_alert: Annotated[bool | None, Query(alias="isAlert")] = None,
) -> list[dict[str, Any]]:
    """Events of an MLApp, by time; -1: without a bound."""
    from parallelm.warehouse.queries import events as find

    allow(caller, READ, mlapp_id)
    found = rows(
        find(context_of(request).settings, mlapp_id=mlapp_id, is_alert=is_alert, **_range(start, end))
    )
    shown: list[dict[str, Any]] = plain(
        [
            {
                "id": each["event_id"],
                "eventType": each["type"],
                "eventLabel": each["title"],
                "description": each["description"],
                "data": from_json(each["data"]) if isinstance(each["data"], str) else each["data"],
                "isAlert": each["is_alert"],
                "created": round(each["event_time"].timestamp() * 1000),
                "workflowInstanceId": each["mlapp_id"],
                "ionNodeId": each["node_id"],
                "host": each["agent_id"],
                "modelId": each["model_id"],
            }
            for each in found
        ]
    )
    return shown


def _lines(numbers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a time, node and agent: one value, or the lines of a graph beside each other."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for each in numbers:
        line = each["labels"].get(LINE_LABEL, "value")
        key: tuple[Any, ...] = (each["event_time"], each["node_id"], each["agent_id"], each["model_id"])
        row = found.get(key)
        if row is None or line in row:  # the same time again: another report
            key = (*key, len(found)) if row else key
            row = found[key] = _place(each)
        row[line] = each["value"]
    return list(found.values())


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "time": round(row["event_time"].timestamp() * 1000),
        "node": row["node_id"],
        "agent": row["agent_id"],
    }


def _range(start: int, end: int) -> dict[str, Any]:
    if 0 <= end < start:
        raise ApiProblemError(422, "invalid-request", f"the range ends ({end}) before it begins ({start})")
    return {
        "start": None if start < 0 else moment_of(start),
        "end": None if end < 0 else moment_of(end),
    }
