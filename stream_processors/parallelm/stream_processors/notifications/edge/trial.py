"""A test message along one route, without Kafka."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from parallelm.stream_processors.notifications.book import Notice
from parallelm.stream_processors.notifications.deliveries import Outcome
from parallelm.stream_processors.notifications.desk import route_trees
from parallelm.stream_processors.notifications.edge.senders import Message
from parallelm.stream_processors.notifications.edge.targets import make_targets
from parallelm.stream_processors.notifications.items import Item, ItemState
from parallelm.stream_processors.notifications.templates import message_values, render

if TYPE_CHECKING:
    from parallelm.definitions.notifications import NotificationRules
    from parallelm.stream_processors.notifications.routing import Route


class UnknownRouteError(Exception):
    """The file has no such route."""


def try_route(rules: NotificationRules, name: str) -> dict[str, str]:
    """Send to every target of a route's receiver; why it failed by target, empty where it was sent."""
    routes = [route for tree in route_trees(rules).values() for route in tree.walk()]
    found = next((route for route in routes if name in {route.name, route.path}), None)
    if found is None:
        known = ", ".join(route.name for route in routes)
        raise UnknownRouteError(f"there is no route {name!r}; there are: {known}")
    receiver = rules.receivers.get(found.receiver or "")
    if receiver is None:
        return {}
    notice = _example(found)
    values = message_values(notice)
    title, body, wrong = render(receiver.form.title, receiver.form.body, values)
    results = {}
    for target_id, target in make_targets(rules).items():
        if target_id in receiver.target_ids():
            message = Message(notice.notification_id, f"[TEST] {title}", body, values, notice.status)
            outcome, error = target.send(message)
            results[target_id] = "" if outcome is Outcome.SENT else f"{outcome.value}: {error}"
    if wrong:
        results[receiver.form.name] = f"its template failed, so that the default one was sent: {wrong}"
    return results


def _example(route: Route) -> Notice:
    now_ms = time.time_ns() // 1_000_000
    labels = {"alertname": "TestNotification", "mlapp": "test", "severity": "info"}
    labels |= {matcher.label: matcher.value for matcher in route.matchers if matcher.operator == "="}
    item = Item(
        item_id="test",
        identity="test",
        section=route.path.partition("/")[0],
        state=ItemState.FIRING,
        labels=labels,
        annotations={},
        mlapp_id="test",
        transition_id="test",
        episode="test",
        started_at_ms=now_ms,
        changed_at_ms=now_ms,
        reason="This is a test: nothing is wrong.",
    )
    return Notice(
        uuid.uuid4().hex, "test", "test", route, route.group_labels(labels), (item,), (), (), now_ms
    )
