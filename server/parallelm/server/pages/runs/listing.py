"""The runs of an MLApp: its nodes with what runs there, and a table of what ran when, on which agent, and for how long."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from parallelm.server.access.dependencies import require
from parallelm.server.api.runs import RunStateName
from parallelm.server.pages._cursor import After, ListOrder
from parallelm.server.pages._mentioned import require_mentioned
from parallelm.server.pages._moments import moment_of
from parallelm.server.pages._rows import rows
from parallelm.server.pages._run_graph import is_run_by_agents, nodes_of, run_graph
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import Shown, TimeRange, known_settings
from parallelm.warehouse.queries import Keyset, current_mlapp, mlapp_life, runs

if TYPE_CHECKING:
    from parallelm.connections import Settings

ROUTER: Final = APIRouter()
STATES: Final = get_args(RunStateName)
_ORDER: Final = ListOrder({"due_at": moment_of, "run_id": str}, shown=100)
_WAITING: Final = 20


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
    """The page, or with htmx the part that changes."""
    settings = known_settings(request)
    definition = current_mlapp(settings, mlapp_id)
    found = _runs(settings, mlapp_id, shown, wanted)
    if definition is None and not found and not wanted.is_set:
        require_mentioned(settings, mlapp_id)
    now_ms = shown.known_at_ms or time.time_ns() // 1_000_000
    nodes = nodes_of(definition)
    page, older = _ORDER.page_of(request, found)
    waiting = _waiting(settings, mlapp_id)
    values = {
        "mlapp_id": mlapp_id,
        "shown": shown,
        "wanted": wanted,
        "states": STATES,
        "runs": [row | {"seconds": seconds_of(row, now_ms)} for row in page],
        # Of those that have ended: services that go on for weeks would leave no length to the others.
        "longest": max((seconds_of(row, now_ms) for row in page if row["has_ended"]), default=0) or 1,
        "older": older,
        "nodes": sorted({node["node_id"] for node in nodes} | {row["node_id"] for row in page}),
        "agents": sorted(
            {row["agent_id"] for row in [*page, *waiting] if row["agent_id"]} | {wanted.agent} - {""}
        ),
        "waiting": waiting[:_WAITING],
        "more_wait": len(waiting) > _WAITING,
        "graph": run_graph(request, settings, mlapp_id, nodes, now_ms),
        **what_people_may_do(settings, mlapp_id, nodes),
    }
    part = request.headers.get("hx-target") == "found"
    return render(request, "runs/_found.html" if part else "runs/list.html", values)


def what_people_may_do(
    settings: Settings, mlapp_id: str, nodes: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """For the buttons of ``runs/_buttons.html``: ``life``, and the nodes that agents run; none in what was known once."""
    run_nodes = [node["node_id"] for node in nodes if is_run_by_agents(node)]
    return {
        "life": mlapp_life(settings, mlapp_id).get(mlapp_id, {"state": ""}),
        "run_nodes": run_nodes,
        "is_past": settings.clickhouse.known_at_ms is not None,
    }


def _runs(settings: Settings, mlapp_id: str, shown: TimeRange, wanted: RunFilter) -> list[dict[str, Any]]:
    """One more than is shown, where there are more."""
    return rows(
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


def _waiting(settings: Settings, mlapp_id: str) -> list[dict[str, Any]]:
    """Runs that have waited longest, one more than are shown where there are more."""
    page = Keyset(order=tuple(_ORDER.columns), limit=_WAITING + 1)
    return rows(
        runs(settings, mlapp_id=mlapp_id, state=("waiting", "unreachable"), has_ended=False, page=page)
    )


def seconds_of(row: Mapping[str, Any], now_ms: int) -> float:
    """How long its program ran, or has run until now; 0 when it never began."""
    if row["started_at"] is None:
        return 0.0
    ended_at = moment_of(now_ms) if row["ended_at"] is None else row["ended_at"]
    return max(0.0, float((ended_at - row["started_at"]).total_seconds()))
