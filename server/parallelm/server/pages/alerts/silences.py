"""Silences: what is muted, by whom and how long; new ones, and the end of one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, Response

from parallelm.definitions.durations import format_duration, parse_duration
from parallelm.definitions.matchers import parse_matcher
from parallelm.operations import silences as operations
from parallelm.operations.silences import SilenceError
from parallelm.server.access.dependencies import Asking, allow, require
from parallelm.server.context import context_of
from parallelm.server.pages.alerts.one import DURATIONS
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import toast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.definitions.matchers import Matcher
    from parallelm.schemas.records import Silence
    from parallelm.server.access.principal import Principal

ROUTER: Final = APIRouter(prefix="/silences")


@ROUTER.get("", dependencies=[Depends(require("mlapps.read", anywhere=True))])
def silences(request: Request, asking: Asking, ended: str = "") -> HTMLResponse:
    """Those in force and to come; with ``ended`` those of the last days as well."""
    return render(request, "alerts/silences.html", _known(request, asking, also_ended=bool(ended)))


@ROUTER.post("", dependencies=[Depends(require("alerts.silence", anywhere=True))])
def add(
    request: Request,
    asking: Asking,
    matchers: Annotated[str, Form(max_length=10_000)],
    duration: Annotated[str, Form(max_length=20)],
    comment: Annotated[str, Form(min_length=1, max_length=2000)],
) -> Response:
    """Mute alerts from now on."""
    wanted, for_ms = _matchers(matchers), _duration_ms(duration)
    allow(asking, "alerts.silence", mlapp_of(wanted))
    made = operations.add_silence(
        context_of(request).settings,
        wanted,
        ends_at_ms=time.time_ns() // 1_000_000 + for_ms,
        who=asking.author,
        comment=comment,
    )
    said = f"Silence {made.silence_id} is in force for {format_duration(for_ms)}."
    if request.headers.get("hx-target") != "silences":
        return toast(said)
    return toast(said, render(request, "alerts/_silences.html", _known(request, asking)))


@ROUTER.post("/{silence_id}/end", dependencies=[Depends(require("alerts.silence", anywhere=True))])
def end(
    request: Request, asking: Asking, silence_id: str, comment: Annotated[str, Form(max_length=2000)] = ""
) -> Response:
    """End one now."""
    settings = context_of(request).settings
    known = {each.silence_id: each for each in operations.list_silences(settings)}
    if silence_id in known:
        allow(asking, "alerts.silence", mlapp_of(operations.matchers_of(known[silence_id])))
    kind = "error"
    try:
        operations.end_silence(settings, silence_id, who=asking.author, comment=comment)
    except SilenceError as error:
        said = str(error)
    else:
        said, kind = f"Silence {silence_id} has ended.", "ok"
    return toast(said, render(request, "alerts/_silences.html", _known(request, asking)), kind)


def mlapp_of(matchers: Sequence[Matcher]) -> str | None:
    """The only MLApp that matchers can mute; None when it may be any."""
    return next((each.value for each in matchers if (each.label, each.operator) == ("mlapp", "=")), None)


def _matchers(text: str) -> list[Matcher]:
    try:
        return [parse_matcher(line.strip()) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise SilenceError(str(error)) from error


def _duration_ms(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise SilenceError(str(error)) from error


def _known(request: Request, asking: Principal, *, also_ended: bool = False) -> dict[str, Any]:
    now_ms = time.time_ns() // 1_000_000
    found = operations.list_silences(context_of(request).settings)
    shown = [
        _row(each, now_ms, asking)
        for each in reversed(found)
        if (also_ended or each.ends_at_ms > now_ms) and _may_see(asking, each)
    ]
    return {"silences": shown, "also_ended": also_ended, "durations": DURATIONS, "matchers": ""}


def _may_see(asking: Principal, silence: Silence) -> bool:
    """A silence of another MLApp names what only its people know."""
    mlapp_id = mlapp_of(operations.matchers_of(silence))
    return mlapp_id is None or asking.may("mlapps.read", mlapp_id)


def _row(silence: Silence, now_ms: int, asking: Principal) -> dict[str, Any]:
    matchers = operations.matchers_of(silence)
    if silence.ends_at_ms <= now_ms:
        state = "ended"
    else:
        state = "to come" if silence.starts_at_ms > now_ms else "in force"
    return {
        "silence": silence,
        "matchers": [str(matcher) for matcher in matchers],
        "state": state,
        "may_end": state != "ended" and asking.may("alerts.silence", mlapp_of(matchers)),
    }
