"""One KPI: its points and their revisions, and taking points back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from starlette.responses import HTMLResponse, Response

from parallelm.operations.kpis import withdraw_rows
from parallelm.operations.words import counted
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.pages._moments import moment_of
from parallelm.server.pages._rows import label_filter, rows
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import Shown, known_settings, time_range
from parallelm.server.pages.toasts import toast
from parallelm.server.stored import stored
from parallelm.warehouse.queries import Keyset, kpi_names, kpi_revisions, kpis, withdrawn_points

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.server.pages.time_range import TimeRange

ROUTER: Final = APIRouter(prefix="/mlapps/{mlapp_id}/kpis")
_SHOWN: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Name = Annotated[str, Query(min_length=1, max_length=1000)]
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Selection:
    """Points of a KPI that are to be taken back."""

    name: str
    label: str = ""
    start: str = ""
    end: str = ""

    def found(self, settings: Settings, mlapp_id: str) -> pd.DataFrame:
        """Those that there are now."""
        shown = time_range(self.start, self.end)
        return kpis(
            settings,
            self.name,
            mlapp_id=mlapp_id,
            **label_filter(self.label),
            start=shown.start,
            end=shown.end,
        )


@ROUTER.get("/one", dependencies=[Depends(require("mlapps.read"))])
def kpi(request: Request, mlapp_id: str, name: Name, shown: Shown, label: str = "") -> HTMLResponse:
    """The page of a KPI."""
    settings = known_settings(request)
    if name not in kpi_names(settings, mlapp_id):
        raise HTTPException(_NOT_FOUND, f"MLApp {mlapp_id!r} has no KPI {name!r}")
    values = {"shown": shown, "label": label} | _points(settings, mlapp_id, name, shown, label)
    return render(request, "kpis/one.html", values)


@ROUTER.get("/revisions", dependencies=[Depends(require("mlapps.read"))])
def revisions(
    request: Request,
    mlapp_id: str,
    name: Name,
    at_ms: int,
    label: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
) -> HTMLResponse:
    """All revisions of one point: a part, for htmx."""
    moment = moment_of(at_ms)
    labels = dict(each.split("=", 1) for each in label)
    found = rows(
        kpi_revisions(
            known_settings(request),
            name,
            mlapp_id=mlapp_id,
            labels=labels,
            start=moment,
            end=moment + timedelta(milliseconds=1),
        )
    )
    own = [row for row in found if row["labels"] == labels]
    return render(request, "kpis/_revisions.html", {"revisions": own[::-1]})


@ROUTER.get("/withdrawal", dependencies=[Depends(require("kpis.write"))])
def withdrawal(
    request: Request,
    mlapp_id: str,
    name: Name,
    label: str = "",
    start: Annotated[str, Query(alias="from")] = "",
    end: Annotated[str, Query(alias="to")] = "",
) -> HTMLResponse:
    """The points that are selected, before they are taken back: a part, for htmx."""
    wanted = Selection(name, label, start, end)
    found = wanted.found(known_settings(request), mlapp_id)
    values = {
        "mlapp_id": mlapp_id,
        "wanted": wanted,
        "count": len(found),
        "points": rows(found.head(_SHOWN)),
    }
    return render(request, "kpis/_withdrawal.html", values)


@ROUTER.post("/withdraw", dependencies=[Depends(require("kpis.write"))])
def withdraw(
    request: Request,
    asking: Asking,
    mlapp_id: str,
    name: Annotated[str, Form(min_length=1, max_length=1000)],
    expected: Annotated[int, Form(ge=1)],
    comment: Annotated[str, Form(min_length=1, max_length=2000)],
    label: Annotated[str, Form(max_length=5000)] = "",
    start: Annotated[str, Form(alias="from", max_length=100)] = "",
    end: Annotated[str, Form(alias="to", max_length=100)] = "",
) -> Response:
    """Take back what was shown; when other points are selected meanwhile, nothing."""
    settings = known_settings(request)
    wanted = Selection(name, label, start, end)
    found = wanted.found(settings, mlapp_id)
    if len(found) != expected:
        said = (
            f"Nothing was withdrawn: these are {counted(len(found), 'point')} now, and {expected} were shown."
        )
        return toast(said, _part(request, mlapp_id, name), "error")
    count = withdraw_rows(settings, found, who=asking.author, comment=comment)
    stored(lambda: wanted.found(settings, mlapp_id).empty)
    return toast(f"{counted(count, 'point')} of {name} withdrawn.", _part(request, mlapp_id, name))


def _part(request: Request, mlapp_id: str, name: str) -> HTMLResponse:
    values = _points(known_settings(request), mlapp_id, name, time_range(), "")
    return render(request, "kpis/_points.html", values)


def _points(settings: Settings, mlapp_id: str, name: str, shown: TimeRange, label: str) -> dict[str, Any]:
    """The latest points of a range, as they are or were known."""
    found = rows(
        kpis(
            settings,
            name,
            mlapp_id=mlapp_id,
            **label_filter(label),
            start=shown.start,
            end=shown.end,
            page=Keyset(order=("event_time", "name", "label_text"), descending=True, limit=_SHOWN + 1),
        )
    )
    for row in found:
        row["at_ms"] = (row["event_time"] - _EPOCH) // timedelta(milliseconds=1)
    taken_back = (
        rows(withdrawn_points(settings, name, mlapp_id=mlapp_id, start=shown.start, end=shown.end))
        if shown.known_at is None
        else []
    )
    return {
        "mlapp_id": mlapp_id,
        "name": name,
        "points": found[:_SHOWN],
        "more": len(found) > _SHOWN,
        "taken_back": taken_back,
    }
