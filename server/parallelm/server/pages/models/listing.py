"""The models of all MLApps or of one, what is live where, and what waits for a review."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from parallelm.definitions.node_types import CONSUMERS
from parallelm.operations.errors import UnknownModelError
from parallelm.operations.json_values import read_json
from parallelm.schemas.well_known import MODEL_FORMATS
from parallelm.server.access.dependencies import Asking, allow, require
from parallelm.server.pages._cursor import After, ListOrder
from parallelm.server.pages._moments import moment_of
from parallelm.server.pages._rows import labels_of, rows
from parallelm.server.pages.models.decisions import PENDING, Decision, decide, decision
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import Shown, known_settings
from parallelm.server.pages.toasts import toast
from parallelm.warehouse.queries import (
    deployments,
    live_models,
    model_announcement,
    models,
    pins,
)
from parallelm.warehouse.queries.mlapps import current_mlapp

if TYPE_CHECKING:
    from collections.abc import Collection

    from parallelm.connections import Settings
    from parallelm.server.pages.time_range import TimeRange

ROUTER: Final = APIRouter()
_ORDER: Final = ListOrder({"event_time": moment_of, "model_id": str}, shown=200)


@dataclass(frozen=True, slots=True)
class ModelFilter:
    """What the list is limited to, as the address says it."""

    search: str = ""
    mlapp: str = ""
    format: str = ""
    annotation: str = ""
    owner: str = ""
    after: str = ""

    @property
    def is_set(self) -> bool:
        """Whether it leaves something out."""
        return any((self.search, self.mlapp, self.format, self.annotation, self.owner))


def _filter(
    search: str = "",
    mlapp: Annotated[str, Query(alias="mlapp_id")] = "",
    model_format: Annotated[str, Query(alias="format")] = "",
    annotation: str = "",
    owner: str = "",
    after: After = "",
) -> ModelFilter:
    return ModelFilter(search.strip(), mlapp.strip(), model_format, annotation, owner.strip(), after)


Filtered = Annotated[ModelFilter, Depends(_filter)]


@ROUTER.get("/models", dependencies=[Depends(require("mlapps.read", anywhere=True))])
def list_of_models(request: Request, asking: Asking, wanted: Filtered, shown: Shown) -> HTMLResponse:
    """Models of all MLApps that somebody may see, or of the one that the filter names."""
    if wanted.mlapp:
        allow(asking, "mlapps.read", wanted.mlapp)
    mlapps = {wanted.mlapp} if wanted.mlapp else asking.mlapps("mlapps.read")
    return render(request, "models/list.html", _known(request, mlapps, wanted, shown))


@ROUTER.get("/models/{model_id}")
def model_by_id(request: Request, asking: Asking, model_id: str) -> RedirectResponse:
    """The page of a model whose MLApp the link does not name."""
    found = model_announcement(known_settings(request), model_id)
    if found is None or not asking.may("mlapps.read", found["mlapp_id"]):
        raise UnknownModelError(f"there is no model {model_id!r}")
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/mlapps/{quote(found['mlapp_id'])}/models/{quote(model_id)}")


@ROUTER.get("/mlapps/{mlapp_id}/models", dependencies=[Depends(require("mlapps.read"))])
def models_of_an_mlapp(request: Request, mlapp_id: str, wanted: Filtered, shown: Shown) -> HTMLResponse:
    """Those of one MLApp, and what is live on each of its nodes; to a page that is open, the latter alone."""
    if request.headers.get("hx-target") == "now":
        return _now(request, mlapp_id)
    values = _known(request, {mlapp_id}, wanted, shown) | _nodes(request, mlapp_id)
    return render(request, "models/of_mlapp.html", values)


@ROUTER.post("/mlapps/{mlapp_id}/models/decide", dependencies=[Depends(require("models.review"))])
def decide_on_a_node(
    request: Request, asking: Asking, mlapp_id: str, wanted: Annotated[Decision, Depends(decision)]
) -> Response:
    """Decide, and draw reviews and nodes anew."""
    said, kind = decide(request, asking, mlapp_id, wanted)
    return toast(said, _now(request, mlapp_id), kind)


def _now(request: Request, mlapp_id: str) -> HTMLResponse:
    values = _nodes(request, mlapp_id) | {"pending": pending(known_settings(request), {mlapp_id})}
    return render(request, "models/_now.html", values)


def pending(settings: Settings, mlapps: Collection[str] | None) -> list[dict[str, Any]]:
    """Deployments that wait for a person, each with the model that is live on its node, the newest first."""
    found = rows(deployments(settings, mlapp_id=mlapps, state=PENDING))
    if not found:
        return []
    live = {(row["mlapp_id"], row["node_id"]): row for row in rows(live_models(settings, mlapp_id=mlapps))}
    return [
        row | {"live": live.get((row["mlapp_id"], row["node_id"]))}
        for row in sorted(found, key=lambda row: row["decided_at"], reverse=True)
    ]


def _known(
    request: Request, mlapps: Collection[str] | None, wanted: ModelFilter, shown: TimeRange
) -> dict[str, Any]:
    settings = known_settings(request)
    found = rows(
        models(
            settings,
            mlapp_id=mlapps,
            search=wanted.search or None,
            model_format=wanted.format or None,
            owner=wanted.owner or None,
            annotations=annotations_of(wanted.annotation),
            start=shown.start,
            end=shown.end,
            page=_ORDER.keyset(wanted.after),
        )
    )
    page, older = _ORDER.page_of(request, found)
    return {
        "models": page,
        "older": older,
        "pending": pending(settings, mlapps),
        "wanted": wanted,
        "shown": shown,
        "formats": MODEL_FORMATS,
    }


def annotations_of(text: str) -> dict[str, str]:
    """A filter as annotations are stored: ``team=retention, runs=3`` are a text and a number in JSON."""
    return {key: _as_stored(value) for key, value in labels_of(text).items()}


def _as_stored(value: str) -> str:
    try:
        return json.dumps(read_json(value))
    except ValueError:
        return json.dumps(value)


def _nodes(request: Request, mlapp_id: str) -> dict[str, Any]:
    settings = known_settings(request)
    live = {row["node_id"]: row for row in rows(live_models(settings, mlapp_id=mlapp_id))}
    defined = current_mlapp(settings, mlapp_id)
    consumers = (
        [
            node_id
            for node_id, kind in zip(defined["nodes.node_id"], defined["nodes.type"], strict=True)
            if kind in CONSUMERS
        ]
        if defined
        else []
    )
    pinned = pins(settings, mlapp_id)
    nodes = [
        {"key": key, "node_id": each, "live": live.get(each), "pin": pinned.get(each)}
        for key, each in enumerate(dict.fromkeys((*consumers, *live)))
    ]
    every = list(defined["nodes.node_id"]) if defined else []
    return {"mlapp_id": mlapp_id, "nodes": nodes, "all_nodes": every}
