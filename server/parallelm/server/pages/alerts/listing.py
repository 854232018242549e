"""The list of alerts, of all MLApps or of one, by rule; what it shows is in its address."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse

from parallelm.operations.alerts import find_alert, list_alerts, silenced_by
from parallelm.schemas.errors import SchemaError
from parallelm.server.access.dependencies import Asking, allow, require
from parallelm.server.pages._cursor import After, ListOrder
from parallelm.server.pages._moments import moment_of
from parallelm.server.pages._rows import labels_of, rows
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import Shown, known_settings
from parallelm.warehouse.queries import OPEN_STATES

if TYPE_CHECKING:
    from collections.abc import Collection

    from parallelm.connections import Settings
    from parallelm.server.pages.time_range import TimeRange

ROUTER: Final = APIRouter()
SEVERITIES: Final = ("critical", "warning", "info")
STATES: Final = (
    ("", "Open"),
    ("all", "Open and past"),
    ("firing", "Firing"),
    ("acknowledged", "Acknowledged"),
    ("pending", "Pending"),
    ("resolved", "Resolved"),
    ("inactive", "Ended before it fired"),
)
_ORDER: Final = ListOrder({"started_at": moment_of, "rule": str, "alert_id": str}, shown=300)


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What the list is limited to, as the address says it."""

    severity: str = ""
    mlapp: str = ""
    node: str = ""
    state: str = ""
    rule: str = ""
    label: str = ""
    after: str = ""
    """Of the page before: when its last alert started, its rule and its id."""

    @property
    def is_set(self) -> bool:
        """Whether it leaves something out, but for the state."""
        return any((self.severity, self.mlapp, self.node, self.rule, self.label))


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts of one rule, the latest first."""

    mlapp_id: str
    rule: str
    alerts: list[dict[str, Any]]

    @property
    def severity(self) -> str:
        """The worst that one of them has."""
        found = {each["severity"] for each in self.alerts}
        return next((each for each in SEVERITIES if each in found), min(found))

    @property
    def open(self) -> int:
        """How many have not ended."""
        return sum(each["state"] in OPEN_STATES for each in self.alerts)


def _filter(
    severity: str = "",
    mlapp: Annotated[str, Query(alias="mlapp_id")] = "",
    node: Annotated[str, Query(alias="node_id")] = "",
    state: str = "",
    rule: str = "",
    label: str = "",
    after: After = "",
) -> AlertFilter:
    return AlertFilter(severity, mlapp.strip(), node.strip(), state, rule.strip(), label, after)


Filtered = Annotated[AlertFilter, Depends(_filter)]


@ROUTER.get("/alerts", dependencies=[Depends(require("mlapps.read", anywhere=True))])
def alerts(request: Request, asking: Asking, wanted: Filtered, shown: Shown) -> HTMLResponse:
    """Alerts of all MLApps that somebody may see, or of the one that the filter names."""
    if wanted.mlapp:
        allow(asking, "mlapps.read", wanted.mlapp)
    mlapps = {wanted.mlapp} if wanted.mlapp else asking.mlapps("mlapps.read")
    return _page(request, "alerts/list.html", mlapps, wanted, shown)


@ROUTER.get("/alerts/{alert_id}")
def alert_by_id(request: Request, asking: Asking, alert_id: str) -> RedirectResponse:
    """The page of an alert whose MLApp the link does not name."""
    # Among what the viewer may see: the message about an unknown one names those that are near.
    found = find_alert(known_settings(request), alert_id, asking.mlapps("mlapps.read"))
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/mlapps/{quote(found['mlapp_id'])}/alerts/{quote(found['alert_id'])}")


@ROUTER.get("/mlapps/{mlapp_id}/alerts", dependencies=[Depends(require("mlapps.read"))])
def alerts_of_an_mlapp(request: Request, mlapp_id: str, wanted: Filtered, shown: Shown) -> HTMLResponse:
    """The same of one MLApp."""
    return _page(request, "alerts/of_mlapp.html", {mlapp_id}, wanted, shown, mlapp_id=mlapp_id)


def _page(
    request: Request,
    template: str,
    mlapps: Collection[str] | None,
    wanted: AlertFilter,
    shown: TimeRange,
    **more: Any,
) -> HTMLResponse:
    settings = known_settings(request)
    found = list_alerts(
        settings,
        mlapp_id=mlapps,
        rule=wanted.rule or None,
        severity=wanted.severity or None,
        node_id=wanted.node or None,
        state=wanted.state if wanted.state not in {"", "all"} else None,
        labels=labels_of(wanted.label),
        also_over=wanted.state == "all",
        start=shown.start,
        end=shown.end,
        page=_ORDER.keyset(wanted.after),
    )
    silenced, trouble = _silenced(settings, found) if shown.known_at_ms is None else ([], "")
    entries = [
        row | {"silenced_by": by} for row, by in zip(rows(found), silenced or [""] * len(found), strict=True)
    ]
    page, older = _ORDER.page_of(request, entries)
    values = {
        "groups": _groups(page),
        "count": len(page),
        "older": older,
        "wanted": wanted,
        "shown": shown,
        "states": STATES,
        "severities": SEVERITIES,
        "open_states": OPEN_STATES,
        "trouble": trouble,
        "known": {name: sorted({row[key] for row in page if row[key]}) for name, key in _KNOWN.items()},
    }
    part = request.headers.get("hx-target") == "found"
    return render(request, "alerts/_found.html" if part else template, values | more)


_KNOWN: Final = {"mlapp": "mlapp_id", "node": "node_id", "rule": "rule"}


def _silenced(settings: Settings, found: Any) -> tuple[list[str], str]:
    try:
        return silenced_by(settings, found), ""
    except SchemaError as error:
        return [], f"Silences are not shown: {error}"


def _groups(entries: list[dict[str, Any]]) -> list[Group]:
    """Alerts of one rule together, the group with the latest alert first."""

    def key(row: dict[str, Any]) -> tuple[str, str]:
        return row["mlapp_id"], row["rule"]

    found = [Group(*names, list(group)) for names, group in groupby(sorted(entries, key=key), key)]
    return sorted(found, key=lambda group: group.alerts[0]["started_at"], reverse=True)
