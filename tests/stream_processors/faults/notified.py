"""The notifier of a fault test: whom it tells of what, and whether each was told, and once for each id."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from parallelm.schemas.records import AlertState

from .fleet import SESSION_TIMEOUT_S, FleetProcess

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.stream_processors.notifications.receivers import HttpReceiver, Post

    from .load import Observed

DEPLOYMENTS = ("manual", "rollbacks", "canaries", "promotions")
"""Conversations of whose deployments everybody is told."""
ALERTS = ("answered-alerts", "no-data", "kpi", "sum-over-agents")

RULES = """\
receivers:
  - name: team
    targets: [{{type: webhook, url: "http://127.0.0.1:{port}/hook"}}]
  - name: nobody
alerts:
  receiver: nobody
  group_by: ["..."]
  group_wait: 0s
  group_interval: 500ms
  routes:
    - {{matchers: ['mlapp=~"({alerts})-.*"'], receiver: team}}
deployments:
  group_by: [mlapp]
  group_wait: 0s
  group_interval: 500ms
  routes:
    - {{matchers: ['mlapp=~"({deployments})-.*"'], receiver: team}}
"""


class FleetNotifier(FleetProcess):
    """One ``mcenter notifier`` with an instance id, which tells a receiver on this machine."""

    def __init__(self, settings: Settings, folder: Path, port: int) -> None:
        folder.mkdir()
        file = folder / "notifications.yaml"
        file.write_text(RULES.format(port=port, alerts="|".join(ALERTS), deployments="|".join(DEPLOYMENTS)))
        options = (
            "--file",
            str(file),
            "--session-timeout-s",
            str(SESSION_TIMEOUT_S),
            "--instance-id",
            "notifier",
        )
        super().__init__(folder, "notifier", *options, settings=settings)


class Notified:
    """What the receiver has got, beside what the topics say."""

    def __init__(self, receiver: HttpReceiver, observed: Observed) -> None:
        self._receiver, self._observed = receiver, observed

    def by_id(self) -> dict[str, Post]:
        """Each notification once, in the order in which they came first."""
        found: dict[str, Post] = {}
        for post in list(self._receiver.posts):
            found.setdefault(post.id, post)
        return found

    @property
    def repeats(self) -> int:
        """Posts under an id that had come before."""
        return len(self._receiver.posts) - len(self.by_id())

    def differences(self) -> list[str]:
        """What was missed or told twice under two ids, in words; empty when all is right."""
        posts = list(self.by_id().values())
        return [*self._of_deployments(posts), *self._of_alerts(posts)][:5]

    def _of_deployments(self, posts: list[Post]) -> list[str]:
        wanted = Counter(self._observed.deployments_of(DEPLOYMENTS))
        told = Counter(
            tuple(event["labels"].get(name, "") for name in ("mlapp", "node", "model", "state"))
            for post in posts
            for event in post.body["events"]
        )
        return [f"deployment {what}: told {told[what]} times of {wanted[what]}" for what in wanted | told
                if told[what] != wanted[what]]  # fmt: skip

    def _of_alerts(self, posts: list[Post]) -> list[str]:
        """An alert that changes faster than its group's interval is told as it stands then: what was told last holds."""
        told: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for post in posts:
            for state in ("resolved", "firing"):
                for alert in post.body[state]:
                    if alert["labels"]["alertname"] == "deployment":  # it waits for approval
                        continue
                    told[alert["labels"]["mlapp"]].append((alert["id"], state))
        found = []
        for mlapp, episodes in self._observed.alerts_of(ALERTS).items():
            heard = told.pop(mlapp, [])
            last_id, states = list(episodes.items())[-1]
            over = states[-1] == AlertState.RESOLVED.value
            # One that ends and begins again within an interval is not told of again, nor one that begins and ends.
            last = heard[-1][1] if heard else "resolved"
            if last != ("resolved" if over else "firing"):
                found.append(f"{mlapp}: told {heard[-2:]} last, and {last_id} is {states[-1]}")
            ends = Counter(alert_id for alert_id, state in heard if state == "resolved")
            found += [
                f"{mlapp}: the end of {alert_id} told {n} times" for alert_id, n in ends.items() if n > 1
            ]
            strange = {alert_id for alert_id, _ in heard} - episodes.keys()
            found += [f"{mlapp}: told of {alert_id}, which has never fired" for alert_id in strange]
        return [*found, *(f"{mlapp}: told of alerts that are on no topic" for mlapp in told)]


def assert_same_messages(receiver: HttpReceiver) -> None:
    """A repeat is the same message."""
    bodies: dict[str, Any] = {}
    for post in receiver.posts:
        assert bodies.setdefault(post.id, post.body) == post.body
