"""Who is notified of what: the routes of the notifier's file, and a message to try one."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from parallelm.operations.notifications import known_file, read_notifications, routes_of, send_test
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer
from parallelm.server.context import context_of

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


class RouteTest(BaseModel):
    """Along which route a test message is sent."""

    model_config = ConfigDict(extra="forbid")

    route: Annotated[str, Field(min_length=1, max_length=500, description="Name or path of the route.")]


class TestedTarget(Answer):
    """What became of a test message."""

    target: str
    error: str
    """Empty: it was sent."""


@ROUTER.get("/notification-routes", dependencies=[Depends(require(READ, anywhere=True))])
def list_notification_routes(request: Request) -> list[NotificationRoute]:
    """The routes of the notifier's file, each below the one around it."""
    rules = read_notifications(known_file(context_of(request).settings), None)
    return [NotificationRoute.model_validate(each) for each in routes_of(rules)]


@ROUTER.post("/notification-routes/test", dependencies=[Depends(require("operations.write"))])
def send_test_notification(request: Request, asking: Asking, wanted: RouteTest) -> list[TestedTarget]:
    """Send a test message to the receiver of a route, and say of each target whether it was taken."""
    results = send_test(context_of(request).settings, wanted.route, who=asking.author)
    return [TestedTarget(target=target, error=error) for target, error in results.items()]
