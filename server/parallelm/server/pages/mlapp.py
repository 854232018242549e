"""An MLApp at a glance: its nodes with what runs and is live on each, what is wrong, what waits for a person."""

from __future__ import annotations

import time
from typing import Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from parallelm.operations.quality import AGENT_ID as WHO_EVALUATES
from parallelm.schemas.well_known import HOSTS_MLAPP
from parallelm.server.access.dependencies import require
from parallelm.server.context import context_of
from parallelm.server.pages import Page
from parallelm.server.pages._mentioned import require_mentioned
from parallelm.server.pages._run_graph import nodes_of, run_graph
from parallelm.server.pages.rendering import render
from parallelm.server.pages.runs.listing import what_people_may_do
from parallelm.warehouse.queries import alerts, deployments, live_models, mlapp_agents
from parallelm.warehouse.queries.mlapps import current_mlapp
from parallelm.warehouse.queries.overview import MLAppSummary, mlapp_summaries

ROUTER: Final = APIRouter()
PAGE: Final = Page("Summary", "", "mlapps.read", place=0, of_mlapp=True)


@ROUTER.get("/mlapps/{mlapp_id}", dependencies=[Depends(require("mlapps.read"))])
def mlapp(request: Request, mlapp_id: str) -> HTMLResponse:
    """The page, or with htmx the part that changes."""
    settings, now_ms = context_of(request).settings, time.time_ns() // 1_000_000
    summary = next(iter(mlapp_summaries(settings, mlapp_id=mlapp_id)), None)
    if summary is None:
        require_mentioned(settings, mlapp_id)
        summary = MLAppSummary(mlapp_id)
    agents: dict[str, list[str]] = {}
    for row in mlapp_agents(settings, mlapp_id):
        if row["agent_id"] != WHO_EVALUATES:  # no host
            agents.setdefault(row["node_id"], []).append(row["hostname"])
    live = live_models(settings, mlapp_id=mlapp_id).to_dict("records")
    found = deployments(settings, mlapp_id=mlapp_id, state="awaiting_approval").to_dict("records")
    nodes = nodes_of(current_mlapp(settings, mlapp_id))
    values = {
        "mlapp_id": mlapp_id,
        "hosts_mlapp": HOSTS_MLAPP,
        "summary": summary,
        "nodes": nodes,
        "graph": run_graph(request, settings, mlapp_id, nodes, now_ms),
        **what_people_may_do(settings, mlapp_id, nodes),
        "agents": agents,
        "live": {row["node_id"]: row for row in live},
        "pending": found,
        "open_alerts": alerts(settings, mlapp_id=mlapp_id, open_only=True).to_dict("records"),
    }
    part = request.headers.get("hx-target") == "summary"
    return render(request, "parts/mlapp_summary.html" if part else "mlapp_summary.html", values)
