"""A desk with its own clock, as the tests of the core use it: what is sent arrives at once, unless a target is away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.definitions.notifications import parse_notifications
from parallelm.schemas.records import LabelMatcher, Silence
from parallelm.stream_processors.notifications.deliveries import Outcome
from parallelm.stream_processors.notifications.desk import Desk

if TYPE_CHECKING:
    from typing import Any

    from parallelm.schemas.records import AlertTransition, DeploymentTransition, Notification

FILE = """\
receivers:
  - name: team
    targets: [{type: webhook, url: "http://127.0.0.1/team"}]
  - name: pager
    targets: [{type: webhook, url: "http://127.0.0.1/pager"}, {type: webhook, url: "http://127.0.0.1/second"}]
  - name: quiet
    send_resolved: false
    targets: [{type: webhook, url: "http://127.0.0.1/quiet"}]
alerts:
  receiver: team
  group_by: [alertname, mlapp]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
    - {matchers: [severity=critical], receiver: pager, continue: true}
    - {matchers: ['mlapp=~"quiet.*"'], receiver: quiet}
deployments:
  group_by: [mlapp, node]
  routes:
    - {matchers: ['state=~"awaiting_approval|failed|rolled_back"'], receiver: team}
inhibit:
  - {source: [alertname=node_down], target: [severity=warning], equal: [mlapp, node]}
"""

S, M, H = 1_000, 60_000, 3_600_000


@dataclass
class Clerk:
    """A desk and what left it."""

    file: str = FILE
    now_ms: int = 0
    away: set[str] = field(default_factory=set)
    sent: list[Notification] = field(default_factory=list)
    template_errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stored: dict[str, dict[str, dict[str, Any]]] = {}
        self.desk = self._new()

    def _new(self) -> Desk:
        rules = parse_notifications(self.file, "f", {})
        return Desk(rules, lambda receiver, wrong: self.template_errors.append(f"{receiver}: {wrong}"))

    def at(self, now_ms: int) -> Clerk:
        """Go on to a time, second by second where something is due."""
        while True:
            due = self.desk.book.next_due_ms()
            step = now_ms if due is None else min(now_ms, max(due, self.now_ms))
            self.now_ms = max(self.now_ms, step)
            self.desk.flush(self.now_ms, self.now_ms, live=True)
            self.deliver()
            if step >= now_ms:
                return self

    def take(self, *transitions: AlertTransition | DeploymentTransition) -> Clerk:
        for transition in transitions:
            self.desk.take(transition, self.now_ms)
        return self

    def deliver(self) -> None:
        while ready := self.desk.deliveries.ready(self.now_ms):
            for delivery in ready:
                self.desk.deliveries.begin_attempt(delivery, self.now_ms)
                notification = delivery.notification
                is_away = notification.target in self.away
                outcome = Outcome.UNAVAILABLE if is_away else Outcome.SENT
                if not is_away:
                    self.sent.append(notification)
                self.desk.attempted(notification.notification_id, outcome, "away", self.now_ms)

    def restart(self, file: str | None = None) -> Clerk:
        """As after a kill: what was stored is all that is known. Store it first."""
        self.store()
        self.file = file or self.file
        self.desk = self._new()
        self.desk.restore(self.stored, self.now_ms)
        self.desk.drop_orphans(self.now_ms)
        return self

    def store(self) -> None:
        for (kind, name), body in self.desk.changes().items():
            if body is None:
                self.stored.get(kind, {}).pop(name, None)
            else:
                self.stored.setdefault(kind, {})[name] = body

    def silence(self, text: str, ends_at_ms: int) -> None:
        from parallelm.definitions.matchers import parse_matcher

        matcher = parse_matcher(text)
        self.desk.take_silence(
            text,
            Silence(
                silence_id=text,
                matchers=[LabelMatcher(label=matcher.label, operator=matcher.operator, value=matcher.value)],
                starts_at_ms=0,
                ends_at_ms=ends_at_ms,
                who="me",
                comment="c",
                created_at_ms=0,
            ),
        )

    def titles(self, target: str = "team/webhook/0") -> list[str]:
        """Titles that a target got."""
        return [each.title for each in self.sent if each.target == target]
