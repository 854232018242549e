"""Who is notified of what: the routes of the notifier's file, and a message to try one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from parallelm.operations.actions import ALL_MLAPPS, new_action, record_action
from parallelm.operations.notifications import (
    notifications_file,
    read_notifications,
    routes_of,
    try_route,
)
from parallelm.schemas.well_known import TEST_NOTIFICATION
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

ROUTER: Final = resource("notifications")


class NotificationRoute(Answer):
    """A route with everything that it inherits."""

    path: str
    """Its section and numbers, such as `alerts/0`."""
    name: str
    depth: int
    """Below so many others."""
    matchers: list[str]
    """Empty: everything that the routes below do not take."""
    receiver: str
    targets: list[str]
    """What the receiver sends to, without any secret."""
    group_by: list[str]
    group_wait_ms: int
    repeat_interval_ms: int
    goes_on: bool
    """The next routes see it too."""


class RouteToTry(BaseModel):
    """Along which route a test message is sent."""

    model_config = ConfigDict(extra="forbid")

    route: Annotated[str, Field(min_length=1, max_length=500, description="Name or path of the route.")]


class TriedTarget(Answer):
    """What became of a test message."""

    target: str
    error: str
    """Empty: it was sent."""


@ROUTER.get("/notification-routes", dependencies=[Depends(require(READ, anywhere=True))])
def list_notification_routes(request: Request) -> list[NotificationRoute]:
    """The routes of the notifier's file, each below the one around it."""
    return [
        NotificationRoute.model_validate(each) for each in routes_of(read_notifications(_file(request), None))
    ]


@ROUTER.post("/notification-routes/test", dependencies=[Depends(require("operations.write"))])
def send_test_notification(request: Request, asking: Asking, wanted: RouteToTry) -> list[TriedTarget]:
    """Send a test message to the receiver of a route, and say of each target whether it was taken."""
    rules = read_notifications(_file(request), os.environ)
    action = new_action(TEST_NOTIFICATION, ALL_MLAPPS, who=asking.author, target=wanted.route)
    record_action(context_of(request).settings, action)
    results = try_route(rules, wanted.route)
    return [TriedTarget(target=target, error=error) for target, error in results.items()]


def _file(request: Request) -> Path:
    found = notifications_file(context_of(request).settings)
    if found is None:
        raise ApiProblemError(
            404,
            "no-notifications-file",
            "this server does not know the notifier's file: name it in MCENTER_SERVER_NOTIFICATIONS_FILE",
        )
    return found
