"""The notifier without Kafka: transitions in, notifications and what must be stored out. Time is passed in."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from parallelm.schemas.records import AlertTransition, DeploymentTransition, Notification, NotificationState
from parallelm.stream_processors.notifications import items
from parallelm.stream_processors.notifications.book import Book, Notice, ReceiverTargets
from parallelm.stream_processors.notifications.deliveries import Deliveries, Outcome, TargetLimits
from parallelm.stream_processors.notifications.muting import Muting, Silenced
from parallelm.stream_processors.notifications.routing import Route, build_route
from parallelm.stream_processors.notifications.templates import message_values, render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.definitions.notifications import NotificationRules
    from parallelm.schemas.records import Silence

_MAX_PAYLOAD = 300_000
_MAX_IDS = 1_000
GONE = "its target is no longer in the notifier's file"


def route_trees(rules: NotificationRules) -> dict[str, Route]:
    """The trees of a file by section."""
    trees = {"alerts": build_route(rules.form.alerts, "alerts")}
    if rules.form.deployments is not None:
        trees["deployments"] = build_route(rules.form.deployments, "deployments")
    return trees


def target_limits(rules: NotificationRules) -> dict[str, TargetLimits]:
    """Limits of each target of a file."""
    found: dict[str, TargetLimits] = {}
    for receiver in rules.receivers.values():
        rate = receiver.form.rate_limit
        limits = TargetLimits(receiver.form.give_up_after, rate.count if rate else 0, rate.per if rate else 0)
        found |= dict.fromkeys(receiver.target_ids(), limits)
    return found


class Desk:
    """Book, silences and deliveries of one file of rules."""

    def __init__(self, rules: NotificationRules, on_template_error: Callable[[str, str], None]) -> None:
        self._rules = rules
        self._on_template_error = on_template_error
        self._receivers = {
            name: ReceiverTargets(tuple(receiver.target_ids()), receiver.form.send_resolved)
            for name, receiver in rules.receivers.items()
        }
        self.book = Book(route_trees(rules), self._receivers)
        self.deliveries = Deliveries(target_limits(rules))
        self.silences: dict[str, Silenced] = {}
        self._history: list[Notification] = []

    # ---- records ------------------------------------------------------------------------------------------------

    def take_silence(self, silence_id: str, silence: Silence | None) -> None:
        """A silence as it is now; None removes it."""
        if silence is None:
            self.silences.pop(silence_id, None)
        else:
            self.silences[silence_id] = Silenced.of(silence)

    def take(self, transition: AlertTransition | DeploymentTransition, now_ms: int) -> None:
        """A transition that arrived at ``now_ms``."""
        if isinstance(transition, AlertTransition):
            earlier = self.book.firing(items.alert_identity(transition))
            changed = items.of_alert(transition, earlier)
        else:
            earlier = self.book.firing(items.deployment_identity(transition))
            changed = items.of_deployment(transition, earlier)
        for item in changed:
            self.book.absorb(item, now_ms)

    # ---- time ---------------------------------------------------------------------------------------------------

    def flush(self, until_ms: int, clock_ms: int, *, live: bool) -> None:
        """Decide what is due until then, and put it on its way."""
        due_ms = self.book.next_due_ms()
        if due_ms is None or due_ms > until_ms:
            return
        muting = Muting(
            self.book.firing_items, self._rules.form.inhibit, list(self.silences.values()), clock_ms
        )
        for notice in self.book.flush(until_ms, muting, live=live):
            self._send(notice, clock_ms)

    def attempted(
        self, notification_id: str, outcome: Outcome, error: str, now_ms: int
    ) -> Notification | None:
        """Note how an attempt ended; the notification when it is over."""
        if notification_id not in self.deliveries:
            return None
        group_id = self.deliveries.group_of(notification_id)
        over = self.deliveries.end_attempt(notification_id, outcome, error, now_ms)
        if over is not None:
            self._end(over, group_id)
        return over

    def drop_orphans(self, now_ms: int) -> list[Notification]:
        """End what is on its way to targets that the file no longer has."""
        ended = []
        for delivery in self.deliveries.orphans():
            over = self.deliveries.give_up(delivery, GONE, now_ms)
            self._end(over, delivery.group_id)
            ended.append(over)
        return ended

    # ---- what is stored -----------------------------------------------------------------------------------------

    def restore(self, stored: Mapping[str, Mapping[str, dict[str, Any]]], now_ms: int) -> None:
        """Go on from what was stored."""
        self.book.restore(stored.get("item", {}), stored.get("group", {}), now_ms)
        self.deliveries.restore(stored.get("delivery", {}).values(), stored.get("rate", {}))
        waiting = {body["group_id"] for body in stored.get("delivery", {}).values()}
        for group_id, body in stored.get("group", {}).items():
            if body["waits"] and group_id not in waiting:
                self.book.delivered(group_id)

    def changes(self) -> dict[tuple[str, str], dict[str, Any] | None]:
        """Bodies to store by kind and name since the last call; None where it is gone."""
        return self.book.changes() | self.deliveries.changes()

    def history(self) -> list[Notification]:
        """Records of notifications since the last call: decided on, sent, given up."""
        found, self._history = self._history, []
        return found

    def _end(self, over: Notification, group_id: str) -> None:
        self._history.append(over)
        self.book.delivered(group_id)

    def _send(self, notice: Notice, now_ms: int) -> None:
        receiver = notice.route.receiver or ""
        form = self._rules.receivers[receiver].form
        values = message_values(notice)
        title, body, wrong = render(form.title, form.body, values)
        if wrong:
            self._on_template_error(receiver, wrong)
        members = (*notice.firing, *notice.resolved, *notice.events)
        notification = Notification(
            event_time_ms=now_ms,
            notification_id=notice.notification_id,
            state=NotificationState.PENDING,
            receiver=receiver,
            target=notice.target,
            route=notice.route.key,
            group_labels=dict(notice.group_labels),
            status=notice.status,
            firing=len(notice.firing),
            resolved=len(notice.resolved),
            mlapp_ids=sorted({item.mlapp_id for item in members})[:_MAX_IDS],
            transition_ids=[item.transition_id for item in members[:_MAX_IDS]],
            title=title,
            body=body,
            created_at_ms=now_ms,
            attempts=0,
            error="",
        )
        self.deliveries.add(notification, notice.group_id, _bounded(values), now_ms)
        self._history.append(dataclasses.replace(notification))


def _bounded(values: dict[str, Any]) -> dict[str, Any]:
    """What a webhook gets, with so many members that it fits into the notifier's state."""
    lists = ("firing", "resolved", "events")
    while len(json.dumps(values)) > _MAX_PAYLOAD and any(len(values[name]) > 1 for name in lists):
        values = values | {name: values[name][: (len(values[name]) + 1) // 2] for name in lists}
    return values
