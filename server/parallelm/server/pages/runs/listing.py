"""The runs of an MLApp: its nodes with what runs there, and a table of what ran when, on which agent, and for how long."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from parallelm.operations.errors import UnknownMLAppError
from parallelm.operations.schedule import NodeSchedule, schedules
from parallelm.server.access.dependencies import require
from parallelm.server.api.runs import RunStateName
from parallelm.server.charts.nodes import Node, place_nodes
from parallelm.server.context import context_of
from parallelm.server.pages._cursor import After, ListOrder
from parallelm.server.pages._moments import moment_of
from parallelm.server.pages._rows import rows
from parallelm.server.pages._window import address
from parallelm.server.pages.filters import local_time, zone_of
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import Shown
from parallelm.warehouse.queries import current_mlapp, mlapp_life, run_rows, runs

ROUTER: Final = APIRouter()
STATES: Final = get_args(RunStateName)
_ORDER: Final = ListOrder({"due_at": moment_of, "run_id": str}, shown=100)
_AHEAD_MS: Final = 8 * 86_400_000
_NODE_FIELDS: Final = ("node_id", "name", "type", "parents", "consumes", "running_json")


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What the table is limited to."""

    node: str = ""
    state: str = ""
    agent: str = ""
    after: str = ""

    @property
    def is_set(self) -> bool:
        """Whether it leaves something out."""
        return bool(self.node or self.state or self.agent)


def _filter(
    node: str = "",
    state: str = "",
    agent: str = "",
    after: After = "",
) -> RunFilter:
    return RunFilter(node, state, agent, after)


@ROUTER.get("/mlapps/{mlapp_id}/runs", dependencies=[Depends(require("mlapps.read"))])
def runs_of_an_mlapp(
    request: Request, mlapp_id: str, shown: Shown, wanted: Annotated[RunFilter, Depends(_filter)]
) -> HTMLResponse:
    """The page."""
    settings = context_of(request).settings
    definition = current_mlapp(settings, mlapp_id)
    found = rows(
        runs(
            settings,
            mlapp_id=mlapp_id,
            node_id=wanted.node or None,
            state=wanted.state or None,
            agent_id=wanted.agent or None,
            start=shown.start,
            end=shown.end,
            page=_ORDER.keyset(wanted.after),
        )
    )
    if definition is None and not found and not wanted.is_set:
        raise UnknownMLAppError(f"there is no MLApp {mlapp_id!r} whose nodes have run")
    open_runs = run_rows(settings, mlapp_id=mlapp_id, has_ended=False)
    now_ms = time.time_ns() // 1_000_000
    coming = schedules(settings, now_ms, now_ms + _AHEAD_MS, mlapp_ids=[mlapp_id])
    nodes = _nodes(definition)
    page, older = _ORDER.page_of(request, found)
    values = {
        "mlapp_id": mlapp_id,
        "shown": shown,
        "wanted": wanted,
        "states": STATES,
        "runs": [row | {"seconds": seconds_of(row, now_ms)} for row in page],
        # Of those that have ended: services that go on for weeks would leave no length to the others.
        "longest": max((seconds_of(row, now_ms) for row in page if row["has_ended"]), default=0) or 1,
        "older": older,
        "life": mlapp_life(settings, mlapp_id).get(mlapp_id, {"state": ""}),
        "run_nodes": [node["node_id"] for node in nodes if is_run_by_agents(node)],
        "nodes": sorted({node["node_id"] for node in nodes} | {row["node_id"] for row in page}),
        "agents": sorted({row["agent_id"] for row in [*page, *open_runs] if row["agent_id"]}),
        "waiting": [row for row in open_runs if row["state"] in {"waiting", "unreachable"}],
        "graph": place_nodes(_graph(request, mlapp_id, nodes, open_runs, coming)),
    }
    return render(request, "runs/list.html", values)


def seconds_of(row: Mapping[str, Any], now_ms: int) -> float:
    """How long its program ran, or has run until now; 0 when it never began."""
    if row["began_at"] is None:
        return 0.0
    ended_at = moment_of(now_ms) if row["ended_at"] is None else row["ended_at"]
    return max(0.0, float((ended_at - row["began_at"]).total_seconds()))


def is_run_by_agents(node: Mapping[str, Any]) -> bool:
    """Whether the definition says how agents run it."""
    return bool(json.loads(node["running_json"] or "{}"))


def _nodes(definition: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if definition is None:
        return []
    columns = [definition[f"nodes.{name}"] for name in _NODE_FIELDS]
    return [dict(zip(_NODE_FIELDS, row, strict=True)) for row in zip(*columns, strict=True)]


def _graph(
    request: Request,
    mlapp_id: str,
    nodes: Sequence[Mapping[str, Any]],
    open_runs: Sequence[Mapping[str, Any]],
    coming: Sequence[NodeSchedule],
) -> list[Node]:
    due = {each.node_id: each.due_ms[0] for each in coming if each.due_ms}
    zone = zone_of(request.cookies.get("zone", "UTC")).key
    return [
        Node(
            node["node_id"],
            node["name"] or node["node_id"],
            _note(node, [row for row in open_runs if row["node_id"] == node["node_id"]], due, zone),
            node["parents"],
            node["consumes"],
            address(request, "mlapps", mlapp_id, "runs", node=node["node_id"]),
        )
        for node in nodes
    ]


def _note(
    node: Mapping[str, Any], going_on: Sequence[Mapping[str, Any]], due: Mapping[str, int], zone: str
) -> str:
    """What a node does now, in a few words."""
    if going_on:
        states = [row["state"] for row in going_on]
        worst = min(states, key=("unreachable", "running", "stopping", "assigned", "waiting").index)
        agents = sorted({row["agent_id"] for row in going_on if row["state"] == worst and row["agent_id"]})
        more = f" ({len(states)} runs)" if len(states) > 1 else ""
        return f"{worst}{' on ' + agents[0] if agents else ''}{more}"
    if node["node_id"] in due:
        return f"due {local_time(due[node['node_id']], zone)[5:-3]}"
    return "runs when triggered" if is_run_by_agents(node) else "started by somebody else"
