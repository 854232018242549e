"""Deliveries that are under way: which one is to be tried when, and when one is given up. Pure; time is passed in."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from parallelm.schemas.records import Notification, NotificationState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

FIRST_WAIT_MS = 1_000
LONGEST_WAIT_MS = 5 * 60_000
REFUSALS = 8
"""A notification that the receiver itself refuses (HTTP 4xx, SMTP 5xx) so often is given up: about two minutes."""


class Outcome(StrEnum):
    """How an attempt ended."""

    SENT = "sent"
    UNAVAILABLE = "unavailable"
    """No answer, or one that promises another one later."""
    REFUSED = "refused"
    """The receiver does not want this message."""
    NOT_TRIED = "not_tried"
    """This process may no longer be the one that sends."""


@dataclass(frozen=True, slots=True)
class TargetLimits:
    """What a receiver's form says of each of its targets."""

    give_up_after_ms: int
    rate_count: int = 0
    """0: no limit."""
    rate_per_ms: int = 0


@dataclass(slots=True)
class Delivery:
    """One notification on its way."""

    notification: Notification
    group_id: str
    payload: dict[str, Any]
    """What a webhook gets."""
    order: int
    next_attempt_ms: int = 0
    refusals: int = 0
    is_under_way: bool = field(default=False, compare=False)

    @property
    def notification_id(self) -> str:
        """Id of the notification."""
        return self.notification.notification_id

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "notification": dataclasses.asdict(self.notification),
            "group_id": self.group_id,
            "payload": self.payload,
            "order": self.order,
            "next_attempt_ms": self.next_attempt_ms,
            "refusals": self.refusals,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Delivery:
        """The inverse of ``to_json``."""
        stored = body["notification"]
        notification = Notification(**stored | {"state": NotificationState(stored["state"])})
        return cls(
            notification,
            body["group_id"],
            body["payload"],
            body["order"],
            body["next_attempt_ms"],
            body["refusals"],
        )


class Deliveries:
    """All deliveries under way; of one group one after the other, of one target one at a time."""

    def __init__(self, limits: Mapping[str, TargetLimits]) -> None:
        self._limits = limits
        self._all: dict[str, Delivery] = {}
        self._started: dict[str, deque[int]] = {}
        self._touched: set[tuple[str, str]] = set()
        self._order = 0

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, notification_id: str) -> bool:
        return notification_id in self._all

    def counts(self) -> dict[str, int]:
        """Deliveries under way by target."""
        found = dict.fromkeys(self._limits, 0)
        for delivery in self._all.values():
            target = delivery.notification.target
            found[target] = found.get(target, 0) + 1
        return found

    def add(self, notification: Notification, group_id: str, payload: dict[str, Any], now_ms: int) -> None:
        """A notification that was decided on."""
        self._order += 1
        delivery = Delivery(notification, group_id, payload, self._order, now_ms)
        self._all[delivery.notification_id] = delivery
        self._touched.add(("delivery", delivery.notification_id))

    def ready(self, now_ms: int) -> list[Delivery]:
        """What can be tried now: of each target that is idle and within its limit the one that waits longest."""
        busy = {each.notification.target for each in self._all.values() if each.is_under_way}
        first_of_group: dict[str, Delivery] = {}
        for delivery in sorted(self._all.values(), key=lambda each: each.order):
            first_of_group.setdefault(delivery.group_id, delivery)
        chosen: dict[str, Delivery] = {}
        for delivery in sorted(first_of_group.values(), key=lambda each: (each.next_attempt_ms, each.order)):
            target = delivery.notification.target
            if (
                target not in busy
                and delivery.next_attempt_ms <= now_ms
                and self._is_within_rate(target, now_ms)
            ):
                chosen.setdefault(target, delivery)
        return list(chosen.values())

    def orphans(self) -> list[Delivery]:
        """Deliveries whose target is no longer in the file."""
        return [each for each in self._all.values() if each.notification.target not in self._limits]

    def begin_attempt(self, delivery: Delivery, now_ms: int) -> None:
        """Note that an attempt begins; to be stored before it does."""
        delivery.is_under_way = True
        delivery.notification = dataclasses.replace(
            delivery.notification, attempts=delivery.notification.attempts + 1
        )
        self._touched.add(("delivery", delivery.notification_id))
        target = delivery.notification.target
        if delivery.notification.attempts == 1 and self._limit(target).rate_count:
            self._started.setdefault(target, deque()).append(now_ms)
            self._touched.add(("rate", target))

    def end_attempt(
        self, notification_id: str, outcome: Outcome, error: str, now_ms: int
    ) -> Notification | None:
        """Note how an attempt ended; the notification's record when it is over: sent, or given up."""
        delivery = self._all.get(notification_id)
        if delivery is None:
            return None
        delivery.is_under_way = False
        if outcome is Outcome.NOT_TRIED:
            return None
        self._touched.add(("delivery", notification_id))
        if outcome is Outcome.SENT:
            self._receiver_is_back(delivery.notification.target, now_ms)
            return self._over(delivery, NotificationState.SENT, "", now_ms)
        delivery.refusals += outcome is Outcome.REFUSED
        age_ms = now_ms - delivery.notification.created_at_ms
        limit = self._limit(delivery.notification.target)
        if delivery.refusals >= REFUSALS or age_ms >= limit.give_up_after_ms:
            return self._over(delivery, NotificationState.FAILED, error, now_ms)
        exponent = min(delivery.notification.attempts - 1, 20)
        delivery.next_attempt_ms = now_ms + min(LONGEST_WAIT_MS, FIRST_WAIT_MS << exponent)
        delivery.notification = dataclasses.replace(delivery.notification, error=error)
        return None

    def give_up(self, delivery: Delivery, error: str, now_ms: int) -> Notification:
        """End a delivery that cannot be tried."""
        self._touched.add(("delivery", delivery.notification_id))
        return self._over(delivery, NotificationState.FAILED, error, now_ms)

    def mark_under_way(self, is_under_way: Callable[[str], bool]) -> None:
        """Do not try what is being tried already."""
        for delivery in self._all.values():
            delivery.is_under_way = is_under_way(delivery.notification_id)

    def group_of(self, notification_id: str) -> str:
        """Group of a delivery under way."""
        return self._all[notification_id].group_id

    def _over(self, delivery: Delivery, state: NotificationState, error: str, now_ms: int) -> Notification:
        del self._all[delivery.notification_id]
        return dataclasses.replace(delivery.notification, state=state, error=error, event_time_ms=now_ms)

    def _receiver_is_back(self, target: str, now_ms: int) -> None:
        for each in self._all.values():
            if each.notification.target == target and not each.refusals:
                each.next_attempt_ms = min(each.next_attempt_ms, now_ms)

    def _limit(self, target: str) -> TargetLimits:
        return self._limits.get(target) or TargetLimits(give_up_after_ms=0)

    def _is_within_rate(self, target: str, now_ms: int) -> bool:
        limit, started = self._limit(target), self._started.get(target)
        if not limit.rate_count or started is None:
            return True
        while started and started[0] <= now_ms - limit.rate_per_ms:
            started.popleft()
        return len(started) < limit.rate_count

    def changes(self) -> dict[tuple[str, str], dict[str, Any] | None]:
        """Bodies to store by kind and name since the last call; None where it is gone."""
        changed: dict[tuple[str, str], dict[str, Any] | None] = {}
        for kind, name in sorted(self._touched):
            if kind == "rate":
                changed[kind, name] = {"started_ms": list(self._started[name])}
            else:
                delivery = self._all.get(name)
                changed[kind, name] = None if delivery is None else delivery.to_json()
        self._touched.clear()
        return changed

    def restore(
        self, deliveries: Iterable[Mapping[str, Any]], rates: Mapping[str, Mapping[str, Sequence[int]]]
    ) -> None:
        """Go on from what was stored."""
        for body in deliveries:
            delivery = Delivery.from_json(body)
            self._all[delivery.notification_id] = delivery
            self._order = max(self._order, delivery.order)
        for target, body_of_rate in rates.items():
            if self._limit(target).rate_count:
                self._started[target] = deque(body_of_rate["started_ms"])
            else:
                self._touched.add(("rate", target))
                self._started[target] = deque()
