"""One model: where it comes from, how good it is, where it was live, and what people decide about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from parallelm.definitions.node_types import CONSUMERS
from parallelm.operations.explaining import explain
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.context import context_of
from parallelm.server.pages._rows import rows
from parallelm.server.pages.models.decisions import Decision, decide, decision
from parallelm.server.pages.models.facts import announced, facts_of, history_of
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import toast
from parallelm.warehouse.queries import Keyset, live_models, models, pins
from parallelm.warehouse.queries.mlapps import current_mlapp

if TYPE_CHECKING:
    from parallelm.connections import Settings

ROUTER: Final = APIRouter(prefix="/mlapps/{mlapp_id}/models/{model_id}")
_OTHERS: Final = 100


@ROUTER.get("", dependencies=[Depends(require("mlapps.read"))])
def model(request: Request, mlapp_id: str, model_id: str) -> HTMLResponse:
    """The page of a model."""
    return render(request, "models/one.html", shown_model(request, mlapp_id, model_id))


@ROUTER.get("/explanation", dependencies=[Depends(require("mlapps.read"))])
def explanation(request: Request, mlapp_id: str, model_id: str) -> HTMLResponse:
    """Why it was deployed or not: for htmx, since it reads many records."""
    settings = context_of(request).settings
    announced(settings, mlapp_id, model_id)
    return render(request, "parts/explanation.html", {"explained": explain(settings, model_id)})


@ROUTER.post("/decide", dependencies=[Depends(require("models.review"))])
def decide_on_a_model(
    request: Request,
    asking: Asking,
    mlapp_id: str,
    model_id: str,
    wanted: Annotated[Decision, Depends(decision)],
) -> Response:
    """Decide, and draw the model anew."""
    announced(context_of(request).settings, mlapp_id, model_id)
    said, kind = decide(request, asking, mlapp_id, wanted)
    return toast(said, render(request, "models/_model.html", shown_model(request, mlapp_id, model_id)), kind)


def shown_model(request: Request, mlapp_id: str, model_id: str) -> dict[str, Any]:
    """What the page of a model knows."""
    settings = context_of(request).settings
    live = {row["node_id"]: row for row in rows(live_models(settings, mlapp_id=mlapp_id))}
    newest = Keyset(order=("event_time", "model_id"), descending=True, limit=_OTHERS)
    latest = rows(models(settings, mlapp_id=mlapp_id, page=newest))
    others = [row for row in latest if row["model_id"] != model_id]
    first = [row["model_id"] for row in live.values() if row["model_id"] != model_id]
    facts = facts_of(settings, mlapp_id, model_id)
    return {
        "mlapp_id": mlapp_id,
        "model_id": model_id,
        "facts": facts,
        "model": facts.row,
        "history": history_of(settings, mlapp_id, model_id)
        if facts.deployments or facts.row["deleted_by"]
        else [],
        "nodes": _consumers(settings, mlapp_id),
        "live": live,
        "others": sorted(others, key=lambda row: row["model_id"] not in first),
        "pinned": {node for node, pin in pins(settings, mlapp_id).items() if pin["model_id"] == model_id},
    }


def _consumers(settings: Settings, mlapp_id: str) -> list[str]:
    defined = current_mlapp(settings, mlapp_id)
    if defined is None:
        return []
    kinds = zip(defined["nodes.node_id"], defined["nodes.type"], strict=True)
    return [node_id for node_id, kind in kinds if kind in CONSUMERS]
