"""Two models beside each other: what they are, their metrics with the test that a canary makes, and what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import HTMLResponse

from parallelm.operations.models import compare
from parallelm.server.access.dependencies import require
from parallelm.server.context import context_of
from parallelm.server.pages._rows import rows
from parallelm.server.pages.models.facts import announced, facts_of, is_drift
from parallelm.server.pages.rendering import render

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.server.pages.models.facts import ModelFacts

ROUTER: Final = APIRouter(prefix="/mlapps/{mlapp_id}/models")
_SIDES: Final = 2


@ROUTER.get("/compare", dependencies=[Depends(require("mlapps.read"))])
def comparison(
    request: Request, mlapp_id: str, chosen: Annotated[list[str], Query(alias="model", max_length=50)]
) -> HTMLResponse:
    """The page of two models."""
    if len(set(chosen)) != _SIDES:
        raise HTTPException(422, f"{len(set(chosen))} models are chosen: choose two to compare")
    settings = context_of(request).settings
    one, other = (facts_of(settings, mlapp_id, each) for each in dict.fromkeys(chosen))
    metrics, drift = _metrics(settings, mlapp_id, one.row["model_id"], other.row["model_id"])
    values = {
        "mlapp_id": mlapp_id,
        "sides": (one, other),
        "metrics": metrics,
        "drift": drift,
        "importance": _importance(one, other),
        "annotations": sorted({*one.annotations, *other.annotations}),
    }
    return render(request, "models/compare.html", values)


@ROUTER.get("/{model_id}/beside/{other_id}", dependencies=[Depends(require("mlapps.read"))])
def beside(request: Request, mlapp_id: str, model_id: str, other_id: str, node_id: str = "") -> HTMLResponse:
    """The metrics of a candidate and of the live model: a part of a review, for htmx."""
    settings = context_of(request).settings
    for each in (model_id, other_id):
        announced(settings, mlapp_id, each)
    metrics, drift = _metrics(settings, mlapp_id, model_id, other_id, node_id)
    values = {"metrics": metrics, "drift": drift, "names": ("This model", "Live model")}
    return render(request, "models/_metrics.html", values)


def _metrics(
    settings: Settings, mlapp_id: str, model_id: str, other_id: str, node_id: str = ""
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Metrics of the two, and apart from them those of their data."""
    found = compare(settings, mlapp_id, model_id, other_id, node_id or None)
    both = rows(found.astype(object).where(found.notna(), None))
    return (
        [each for each in both if not is_drift(each["statistic"])],
        [each for each in both if is_drift(each["statistic"])],
    )


def _importance(one: ModelFacts, other: ModelFacts) -> list[tuple[str, float | None, float | None]]:
    sides = dict(one.importance), dict(other.importance)
    names = dict.fromkeys((*sides[0], *sides[1]))
    return [(name, sides[0].get(name), sides[1].get(name)) for name in names]
