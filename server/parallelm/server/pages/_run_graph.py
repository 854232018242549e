"""The nodes of an MLApp with what agents do of them: on its summary and above its runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from parallelm.server.charts.nodes import Node, NodeGraph, place_nodes
from parallelm.server.pages._window import address
from parallelm.server.pages.filters import local_time, zone_of

if TYPE_CHECKING:
    from fastapi import Request

    from parallelm.connections import Settings

_AHEAD_MS: Final = 8 * 86_400_000
_NODE_FIELDS: Final = (
    "node_id", "name", "type", "mode", "schedule", "parents", "consumes", "running_json",
)  # fmt: skip
_WORST_FIRST: Final = ("unreachable", "waiting", "stopping", "assigned", "running")
_KINDS: Final = {
    "unreachable": "critical", "failed": "critical", "lost": "critical", "waiting": "warning", "missed": "warning",
    "stopping": "warning", "running": "info", "assigned": "info", "succeeded": "good",
}  # fmt: skip
"""Colours of boxes, as badges have them."""


def nodes_of(definition: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Nodes of a row of ``current_mlapp``."""
    if definition is None:
        return []
    columns = [definition[f"nodes.{name}"] for name in _NODE_FIELDS]
    return [dict(zip(_NODE_FIELDS, row, strict=True)) for row in zip(*columns, strict=True)]


def is_run_by_agents(node: Mapping[str, Any]) -> bool:
    """Whether the definition says how agents run it."""
    return bool(json.loads(node["running_json"] or "{}"))


def run_graph(
    request: Request, settings: Settings, mlapp_id: str, nodes: Sequence[Mapping[str, Any]], now_ms: int
) -> NodeGraph:
    """Each node with what it does, how it last ended and when it is due next; as of ``settings``, which may be of a moment."""
    from parallelm.operations.schedule import schedules
    from parallelm.warehouse.queries.node_runs import node_ends, open_runs_by_node

    going_on: dict[str, list[dict[str, Any]]] = {}
    for row in open_runs_by_node(settings, mlapp_id):
        going_on.setdefault(row["node_id"], []).append(row)
    ends = node_ends(settings, mlapp_id)
    coming = schedules(settings, now_ms, now_ms + _AHEAD_MS, mlapp_ids=[mlapp_id], most_of_a_node=1)
    due = {each.node_id: each.due_ms[0] for each in coming if each.due_ms}
    zone = zone_of(request.cookies.get("zone", "UTC")).key
    known_at = request.query_params.get("known_at", "")

    def node(row: Mapping[str, Any]) -> Node:
        node_id = row["node_id"]
        state, note = _told(row, going_on.get(node_id, ()), ends.get(node_id, ""), due.get(node_id), zone)
        return Node(
            node_id,
            row["name"] or node_id,
            note,
            row["parents"],
            row["consumes"],
            address(request, "mlapps", mlapp_id, "runs", node=node_id, known_at=known_at),
            _KINDS.get(state, ""),
        )

    return place_nodes([node(row) for row in nodes])


def _told(
    node: Mapping[str, Any], going_on: Sequence[Mapping[str, Any]], end: str, due_ms: int | None, zone: str
) -> tuple[str, str]:
    """The state of a node, and a few words about it."""
    if going_on:
        worst = min(going_on, key=lambda row: _WORST_FIRST.index(row["state"]))
        runs = sum(row["runs"] for row in going_on)
        on = f" on {worst['agent_id']}" if worst["agent_id"] else ""
        return worst["state"], f"{worst['state']}{on}" if runs == 1 else f"{runs} runs, {worst['state']}{on}"
    coming = f"due {local_time(due_ms, zone)[5:-3]}" if due_ms is not None else ""
    if end or coming:
        return end, "; ".join(each for each in (end, coming) if each)
    return "", "runs when triggered" if is_run_by_agents(node) else "started by somebody else"
