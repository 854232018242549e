"""Who is notified of what: the routes of the notifier's file, and a message to try one."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, Response

from parallelm.operations.errors import InvalidFileError
from parallelm.operations.notifications import (
    NoNotificationsFileError,
    notifications_file,
    read_notifications,
    routes_of,
    send_test,
)
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.context import context_of
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import toast

ROUTER: Final = APIRouter(prefix="/notifications")


@ROUTER.get("", dependencies=[Depends(require("mlapps.read", anywhere=True))])
def notifications(request: Request) -> HTMLResponse:
    """The routes as they are configured; what is wrong with the file, or where it would be."""
    file = notifications_file(context_of(request).settings)
    routes, trouble = [], ""
    if file is not None:
        try:
            routes = routes_of(read_notifications(file, None))
        except InvalidFileError as error:
            trouble = str(error)
    return render(request, "alerts/notifications.html", {"file": file, "routes": routes, "trouble": trouble})


@ROUTER.post("/test", dependencies=[Depends(require("operations.write"))])
def send_a_test(request: Request, asking: Asking, route: Annotated[str, Form(max_length=500)]) -> Response:
    """Send a test message along a route."""
    try:
        results = send_test(context_of(request).settings, route, who=asking.author)
    except NoNotificationsFileError as error:
        return toast(str(error), kind="error")
    failed = {target: why for target, why in results.items() if why}
    if failed:
        return toast("; ".join(f"{target}: {why}" for target, why in failed.items()), kind="error")
    if not results:
        return toast("The route's receiver has no target: nobody is notified by it.")
    return toast(f"A test message was sent to {', '.join(results)}.")
