"""Scenarios that go on when they were answered: people who decide, policies that wait for what components say.

A script is a list of lines. A line sends records of one topic, and says which transitions must follow. The next line is
sent when they are there: what is expected does not depend on how topics interleave. A script begins again at its end.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.schemas.records import Event, Series, StatisticsBatch, UserAction
from parallelm.schemas.topics import ACTIONS, EVENTS, STATISTICS, origin_key
from tests.stream_processors.live import DAY, START

from .scenarios import FIRST_DAY, HEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelm.schemas.topics import Topic
    from tests.stream_processors.live import Cluster

    from .scenarios import Life, Moment

CANARY = (
    HEAD
    + "  - {id: predict-canary, type: model_consumer, consumes: [train]}\n"
    + """policy:
  model_policy: canary
  canary:
    node: predict-canary
    metrics: [{metric: latency, direction: increase}]
    time_limit: 1d
"""
)


@dataclass(slots=True)
class Turn:
    """One time through the script."""

    cluster: Cluster
    number: int
    day: float
    """Event time; later with each line."""
    alert_id: str
    """Of the last alert that was seen; empty before."""

    def model(self, name: str) -> str:
        """``b``: this turn's; ``before b``: that of the turn before, or ``live``, which comes before the first turn."""
        before, _, last = name.rpartition(" ")
        number = self.number - 1 if before else self.number
        return "live" if number < 0 or last == "live" else f"{last}{number}"

    def publish(self, name: str) -> None:
        self.cluster.model(self.day, self.model(name))

    def accept(self, name: str, node: str = "predict") -> None:
        event = Event(
            origin=self.cluster.origin(node), producer_id="p", seq=0, event_time_ms=int(START + self.day * DAY),
            event_id=f"{node}-{self.day}", type="ModelAccepted", title="", description="", is_alert=False,
            model_id=self.model(name), labels={}, content_type="", data=b"",
        )  # fmt: skip
        self._send(EVENTS, self.cluster.mlapp.encode(), event)

    def act(self, action: str, *, model: str = "", target: str = "", node: str = "") -> None:
        record = UserAction(
            event_time_ms=int(START + self.day * DAY), action_id=f"{self.cluster.mlapp}-{self.day}",
            mlapp_id=self.cluster.mlapp, who="anna", authenticated_by="unverified_local_user", action=action, node_id=node,
            model_id=self.model(model) if model else "", target=target, comment="as agreed", parameters={},
        )  # fmt: skip
        self._send(ACTIONS, self.cluster.mlapp.encode(), record)

    def report(self, name: str, values: Sequence[float], *, model: str = "", node: str = "predict") -> None:
        series = Series(
            name=name, model_id=self.model(model) if model else "", category="TIME_SERIES", graph_type="LINEGRAPH",
            labels={}, timestamps_ms=[START + self.day * DAY + n for n in range(len(values))], values=values,
        )  # fmt: skip
        origin = self.cluster.origin(node)
        batch = StatisticsBatch(origin=origin, producer_id="p", seq=0, series=[series])
        self._send(STATISTICS, origin_key(origin), batch)

    def _send(self, topic: Topic, key: bytes, record: Any) -> None:
        self.cluster.send_bytes(topic, key, self.cluster.codec.encode(record))


@dataclass(frozen=True)
class Line:
    """What is said, and the states that follow: ``m active``, or ``rule firing``, in the order of their subject."""

    say: Callable[[Turn], None]
    leads_to: tuple[str, ...]


@dataclass
class Conversation:
    """One script, in as many MLApps as there are copies."""

    name: str
    definition: str
    script: tuple[Line, ...]
    first: tuple[Line, ...] = ()
    """Said once, before the script."""
    _said: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _expected: dict[str, dict[str, Life]] = field(default_factory=dict)

    def send(self, cluster: Cluster, now: Moment) -> None:
        """Say the next line once all that must have followed is there."""
        expected, seen = self.expected(now), now.seen
        if any(len(seen.life(cluster.mlapp, subject)) < len(life) for subject, life in expected.items()):
            return
        said = self._said[cluster.mlapp]
        self._said[cluster.mlapp] += 1
        number, at = divmod(said - len(self.first), len(self.script))
        line = self.first[said] if said < len(self.first) else self.script[at]
        turn = Turn(cluster, max(number, 0), FIRST_DAY + said / 24, seen.alert_id(cluster.mlapp))
        line.say(turn)
        for words in line.leads_to:
            name, _, state = words.partition(" ")
            if name == "before":
                model, _, state = state.partition(" ")
                subject = turn.model(f"before {model}")
            else:
                subject = name if name == "rule" else turn.model(name)
            if subject == "live" and not self.first:
                continue
            expected.setdefault(subject, []).append((state, -1))

    def expected(self, now: Moment) -> dict[str, Life]:
        """What follows from the lines that were said."""
        return self._expected.setdefault(now.mlapp, {})


def _manual() -> Conversation:
    return Conversation(
        "manual",
        HEAD + "policy: {model_policy: manual}\n",
        (
            Line(lambda turn: turn.publish("a"), ("a awaiting_approval",)),
            Line(lambda turn: turn.publish("b"), ("b awaiting_approval",)),
            Line(lambda turn: turn.act("reject", model="a", node="predict"), ("a rejected",)),
            Line(lambda turn: turn.act("approve", model="a", node="predict"), ("a refused",)),
            Line(lambda turn: turn.act("approve", model="b", node="predict"), ("b requested",)),
            Line(lambda turn: turn.accept("b"), ("b accepted", "b active", "before b superseded")),
        ),
    )


def _rollbacks() -> Conversation:
    """``always_update`` with pins and roll-backs."""
    return Conversation(
        "rollbacks",
        HEAD,
        (
            Line(lambda turn: turn.publish("a"), ("a requested",)),
            Line(lambda turn: turn.accept("a"), ("a accepted", "a active", "before a superseded")),
            Line(lambda turn: turn.act("pin", node="predict"), ("a pinned",)),
            Line(lambda turn: turn.act("unpin", node="predict"), ("a unpinned",)),
            Line(lambda turn: turn.publish("b"), ("b requested",)),
            Line(lambda turn: turn.accept("b"), ("b accepted", "b active", "a superseded")),
            Line(lambda turn: turn.act("roll_back", node="predict"), ("b rolled_back", "a requested")),
            Line(lambda turn: turn.accept("a"), ("a accepted", "a active")),
        ),
    )


def _canary() -> Conversation:
    """A canary that is slower than the live model, and is rolled back by its numbers."""
    usual = [2 + n / 100 for n in range(40)]
    return Conversation(
        "canaries",
        CANARY,
        (
            Line(lambda turn: turn.publish("b"), ("b canary", "b requested on predict-canary")),
            Line(
                lambda turn: turn.accept("b", "predict-canary"),
                (
                    "b accepted on predict-canary",
                    "b active on predict-canary",
                    "live superseded on predict-canary",
                ),
            ),
            Line(lambda turn: turn.report("latency", usual, model="live"), ()),
            Line(
                lambda turn: turn.report(
                    "latency", [3 + each for each in usual], model="b", node="predict-canary"
                ),
                ("b rolled_back on predict-canary", "b rolled_back", "live requested on predict-canary"),
            ),
        ),
        first=_LIVE,
    )


def _promotions() -> Conversation:
    """Canaries that are as good as the live model."""
    usual = [2 + n / 100 for n in range(40)]
    return Conversation(
        "promotions",
        CANARY,
        (
            Line(lambda turn: turn.publish("b"), ("b canary", "b requested on predict-canary")),
            Line(
                lambda turn: turn.accept("b", "predict-canary"),
                (
                    "b accepted on predict-canary",
                    "b active on predict-canary",
                    "before b superseded on predict-canary",
                ),
            ),
            Line(lambda turn: turn.report("latency", usual, model="before b"), ()),
            Line(
                lambda turn: turn.report("latency", usual, model="b", node="predict-canary"),
                ("b requested",),
            ),
            Line(lambda turn: turn.accept("b"), ("b accepted", "b active", "before b superseded")),
        ),
        first=_LIVE,
    )


_LIVE = (
    Line(lambda turn: turn.publish("live"), ("live requested",)),
    Line(
        lambda turn: turn.accept("live"),
        ("live accepted", "live active", "live requested on predict-canary"),
    ),
)
"""How an MLApp with canaries gets its first model."""


def _answered_alerts() -> Conversation:
    """An alert that is acknowledged and ends, and one that a person closes; a definition is applied again in between."""
    rule = "  - {name: rule, type: threshold, statistic: share, above: 0.5%s}\n"
    definition = HEAD + "alerts:\n" + rule % ""

    def apply_again(turn: Turn) -> None:
        turn.cluster.apply(HEAD + f"description: turn {turn.number}\nalerts:\n" + rule % "")

    return Conversation(
        "answered-alerts",
        definition,
        (
            Line(lambda turn: turn.report("share", [0.9]), ("rule firing",)),
            Line(lambda turn: turn.act("acknowledge", target=turn.alert_id), ("rule acknowledged",)),
            Line(apply_again, ()),
            Line(lambda turn: turn.report("share", [0.1]), ("rule resolved",)),
            Line(lambda turn: turn.report("share", [0.8]), ("rule firing",)),
            Line(lambda turn: turn.act("close", target=turn.alert_id), ("rule resolved",)),
            Line(lambda turn: turn.report("share", [0.2]), ()),
        ),
    )


def conversations() -> tuple[Conversation, ...]:
    """All of them, with nothing said."""
    return (_manual(), _rollbacks(), _canary(), _promotions(), _answered_alerts())
