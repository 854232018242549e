"""One alert: what has happened to it and why, and what people do about it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, Response

from parallelm.operations import alerts as operations
from parallelm.operations.errors import AlertNotOpenError, NoAnswerError
from parallelm.operations.explaining.alert import explain_alert
from parallelm.schemas.well_known import FEATURE_LABEL
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.context import context_of
from parallelm.server.pages._rows import rows
from parallelm.server.pages.health import NAMES
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import toast
from parallelm.server.stored import stored
from parallelm.warehouse.queries import OPEN_STATES, alert_transitions, deployments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import AlertTransition

ROUTER: Final = APIRouter(prefix="/mlapps/{mlapp_id}/alerts/{alert_id}")
DURATIONS: Final = ("1h", "2h", "8h", "1d", "7d", "30d")
_AROUND: Final = timedelta(days=3)
_WITHOUT_SERIES: Final = frozenset({"component", "event", "no_data", "canary"})
Comment = Annotated[str, Form(max_length=2000)]


@ROUTER.get("", dependencies=[Depends(require("mlapps.read"))])
def alert(request: Request, mlapp_id: str, alert_id: str) -> HTMLResponse:
    """One episode, or of an alert that has several the open one, else the latest."""
    return render(request, "alerts/one.html", _known(request, mlapp_id, alert_id))


@ROUTER.get("/explanation", dependencies=[Depends(require("mlapps.read"))])
def explanation(request: Request, mlapp_id: str, alert_id: str) -> HTMLResponse:
    """Why it was raised and how it went on: for htmx, since it reads many records."""
    settings = context_of(request).settings
    found = explain_alert(settings, operations.find_alert(settings, alert_id, mlapp_id))
    return render(request, "parts/explanation.html", {"explained": found})


@ROUTER.post("/acknowledge", dependencies=[Depends(require("alerts.answer"))])
def acknowledge(
    request: Request, asking: Asking, mlapp_id: str, alert_id: str, comment: Comment = ""
) -> Response:
    """Say that somebody takes care of it."""
    return _answered(request, mlapp_id, alert_id, operations.acknowledge_alert, asking.author, comment)


@ROUTER.post("/close", dependencies=[Depends(require("alerts.answer"))])
def close(
    request: Request,
    asking: Asking,
    mlapp_id: str,
    alert_id: str,
    comment: Annotated[str, Form(min_length=1, max_length=2000)],
) -> Response:
    """End it, with the reason."""
    return _answered(request, mlapp_id, alert_id, operations.close_alert, asking.author, comment)


def _answered(
    request: Request,
    mlapp_id: str,
    alert_id: str,
    answer: Callable[..., AlertTransition],
    who: Author,
    comment: str,
) -> Response:
    """Do it, and draw the alert anew: also when somebody was faster, or the processors do not answer."""
    settings = context_of(request).settings
    kind = "error"
    try:
        done = answer(settings, alert_id, who=who, comment=comment, mlapp_id=mlapp_id)
    except (AlertNotOpenError, NoAnswerError) as error:
        said = str(error)
    else:
        said, kind = f"The alert is {done.state.value} now.", "ok"
        if not stored(lambda: _has(settings, done)):
            said += " The page shows it as soon as it is stored."
    part = render(request, "alerts/_alert.html", _known(request, mlapp_id, alert_id))
    return toast(said, part, kind)


def _has(settings: Settings, done: AlertTransition) -> bool:
    found = alert_transitions(settings, alert_id=done.alert_id, mlapp_id=done.mlapp_id)
    return any(each["transition_id"] == done.transition_id for each in found)


def _known(request: Request, mlapp_id: str, alert_id: str) -> dict[str, Any]:
    settings = context_of(request).settings
    episode = operations.show_alert(settings, alert_id, mlapp_id)
    found = episode.alert
    return {
        "mlapp_id": mlapp_id,
        "alert": found,
        "alert_id": found["alert_id"],
        "transitions": episode.transitions,
        "texts": episode.transitions[-1]["annotations"] if episode.transitions else {},
        "is_open": found["state"] in OPEN_STATES,
        "live": _live_then(settings, found),
        "chart": _chart(found),
        "durations": DURATIONS,
        "matchers": "\n".join(f"{key}={value}" for key, value in found["labels"].items() if value),
    }


def _chart(found: Mapping[str, Any]) -> str:
    """Address of what it is about as a chart, from some time before it began to some after it ended; empty: it has none."""
    if not found["statistic"] or found["rule_type"] in _WITHOUT_SERIES:
        return ""
    since, until = found["started_at"], found["resolved_at"] or found["fired_at"] or found["started_at"]
    around = max(_AROUND, (until - since) / 2)
    times = [("from", (since - around).isoformat()), ("to", (until + around).isoformat())]
    base = f"/charts/{quote(found['mlapp_id'], safe='')}"
    if found["rule_type"] == "kpi":
        return f"{base}/kpi.json?{urlencode([('name', found['statistic']), *times])}"
    whose = [("name", found["statistic"]), ("node", found["node_id"])]
    if found["statistic"].startswith(NAMES.drift):
        whose.append(("feature", found["labels"].get(FEATURE_LABEL, "")))
    return f"{base}/numbers.json?{urlencode([*whose, *times])}"


def _live_then(settings: Settings, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Deployments that were live on its node (of an alert without one, on any) while it was open."""
    since, until = found["fired_at"] or found["started_at"], found["resolved_at"]
    known = rows(deployments(settings, mlapp_id=found["mlapp_id"], node_id=found["node_id"] or None))
    return [
        each
        for each in known
        if each["live_from"] is not None
        and (until is None or each["live_from"] <= until)
        and (each["live_to"] is None or each["live_to"] >= since)
    ]
