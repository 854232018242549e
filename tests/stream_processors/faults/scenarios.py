"""What the load of the fault tests is made of: one scenario for each rule type and policy, with what must come of it.

To add a rule type or a policy, add an entry to ``SCENARIOS``. A scenario is an MLApp of its own. It is driven in steps:
``send`` writes what components report in one step, ``expected`` says which transitions follow from the first steps.
Event times begin in 1971 and go on with the steps, so that a load may last as long as it likes. What is expected must
not depend on how records of different topics interleave: only one MLApp's records on one topic have an order.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from parallelm.schemas.records import Event, KpiBatch, KpiPoint
from parallelm.schemas.topics import EVENTS, KPIS
from parallelm.stream_processors.alerts import series
from parallelm.stream_processors.alerts.series import Memory
from tests.stream_processors.alerts.rules.samples import rule_of
from tests.stream_processors.live import DAY, START

if TYPE_CHECKING:
    from parallelm.stream_processors.alerts.series import Changes
    from tests.stream_processors.live import Cluster

HOUR = 1 / 24
FIRST_DAY = -42 * 365.0
"""Days before ``START``."""

Life = list[tuple[str, int]]
"""States of one alert or deployment with their event times, in order; the time is -1 where it depends on interleaving."""


class Seen(Protocol):
    """What has come so far."""

    def life(self, mlapp: str, subject: str) -> Life:
        """Of one alert or deployment."""

    def alert_id(self, mlapp: str) -> str:
        """Of the alert that was seen last; empty before."""


@dataclass(frozen=True)
class Moment:
    """Where a load is."""

    mlapp: str
    step: int
    """The one that is about to be sent: so many were sent before."""
    seen: Seen


class Scenario(Protocol):
    """One MLApp, what happens in it, and what must follow."""

    @property
    def name(self) -> str:
        """Unique among the scenarios."""

    @property
    def definition(self) -> str:
        """YAML of the MLApp, which it calls ``app``."""

    def send(self, cluster: Cluster, now: Moment) -> None:
        """Write the records of one step; ``cluster.mlapp`` is the scenario's."""

    def expected(self, now: Moment) -> dict[str, Life]:
        """Lives after so many steps, by the rule's name, the component alert's type or the model's id."""


def _at(hours: float) -> float:
    """Day for ``Cluster``'s writers."""
    return FIRST_DAY + hours * HOUR


def event_time_ms(hours: float) -> int:
    """So many hours after the first day."""
    return int(START + _at(hours) * DAY)


HEAD = (
    "mlapp: app\nnodes:\n  - {id: train, type: model_producer}\n"
    "  - {id: predict, type: model_consumer, consumes: [train]}\n"
)


def definition_of(*rules: str) -> str:
    """An MLApp with a node that trains and one that predicts, and these rules."""
    return HEAD + ("alerts:\n" + "".join(f"  - {rule}\n" for rule in rules) if rules else "")


@dataclass(frozen=True)
class SeriesRule:
    """A rule over one series with a sample an hour, one a step; its values repeat."""

    name: str
    rule: str
    """The rule as YAML; its name is ``rule``."""
    values: tuple[float, ...]
    """One cycle, which ends as it has begun: with nothing pending or firing."""
    changes: tuple[tuple[int, str], ...]
    """States that a cycle leads to, and the sample of the cycle at whose time each begins."""
    statistic: str = "share"
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def definition(self) -> str:
        return definition_of(self.rule)

    def send(self, cluster: Cluster, now: Moment) -> None:
        step = now.step
        cluster.statistic(_at(step), self.statistic, self.values[step % len(self.values)], labels=self.labels)

    def expected(self, now: Moment) -> dict[str, Life]:
        steps = now.step
        size = len(self.values)
        life = [
            (state, event_time_ms(begin + at))
            for begin in range(0, steps, size)
            for at, state in self.changes
            if begin + at < steps
        ]
        return {"rule": life} if life else {}


@dataclass
class DetectedByCore:
    """A rule over one series, with an hour between noisy samples whose level changes; the rule's core says what follows."""

    name: str
    rule: str
    """The rule's keys as YAML, without name and statistic."""
    _memory: Memory = field(default_factory=Memory)
    _lives: list[Life] = field(default_factory=lambda: [[]])
    """Life after each number of steps."""

    @property
    def definition(self) -> str:
        return definition_of(f"{{name: rule, statistic: share, {self.rule}}}")

    def send(self, cluster: Cluster, now: Moment) -> None:
        step = now.step
        cluster.statistic(_at(step), "share", self._value(step))

    def expected(self, now: Moment) -> dict[str, Life]:
        steps = now.step
        core = rule_of(self.rule)
        for step in range(len(self._lives) - 1, steps):
            changes: Changes = []
            self._memory = series.absorb(
                self._memory,
                core,
                [(event_time_ms(step), self._value(step))],
                event_time_ms(step),
                -1,
                changes,
                "share",
            )
            self._lives.append(self._lives[-1] + [(found.state.value, found.at_ms) for found, _ in changes])
        return {"rule": self._lives[steps]} if self._lives[steps] else {}

    def _value(self, step: int) -> float:
        chance = random.Random(step)
        level = 5.0 if step // 50 % 2 else 1.0
        return level + chance.gauss(0, 0.3) + (8.0 if step % 17 == 16 else 0.0)


@dataclass(frozen=True)
class ManyEvents:
    """Three events within two hours in each step: one too many; the next step's first one finds the window empty."""

    name: str = "event"

    @property
    def definition(self) -> str:
        return definition_of("{name: rule, type: event, event: Crash, window: 2h, above: 2}")

    def send(self, cluster: Cluster, now: Moment) -> None:
        step = now.step
        for hours in (0.0, 0.5, 1.0):
            cluster.event(_at(10 * step + hours), "Crash")

    def expected(self, now: Moment) -> dict[str, Life]:
        steps = now.step
        life = [
            transition
            for step in range(steps)
            for transition in (
                ("resolved", event_time_ms(10 * step)),
                ("firing", event_time_ms(10 * step + 1)),
            )
        ]
        return {"rule": life[1:]} if life else {}


@dataclass(frozen=True)
class Comparisons:
    """A canary comparator reports a distance in each step: too far in every second one."""

    name: str = "canary-rule"

    @property
    def definition(self) -> str:
        nodes = definition_of("{name: rule, type: canary, node: compare, threshold: 0.25}")
        return nodes.replace("alerts:", "  - {id: compare, type: pipeline_comparator}\nalerts:")

    def send(self, cluster: Cluster, now: Moment) -> None:
        step = now.step
        data = {"histogramComparison": {"scores": 0.1 if step % 2 else 0.5}}
        event = Event(
            origin=cluster.origin("compare"), producer_id="c", seq=step, event_time_ms=event_time_ms(step), event_id=f"c-{step}",
            type="CanaryHealth", title="Canary", description="", is_alert=False, model_id="", labels={},
            content_type="application/json", data=json.dumps(data).encode(),
        )  # fmt: skip
        cluster.send_bytes(EVENTS, cluster.mlapp.encode(), cluster.codec.encode(event))

    def expected(self, now: Moment) -> dict[str, Life]:
        steps = now.step
        life = [("resolved" if step % 2 else "firing", event_time_ms(step)) for step in range(steps)]
        return {"rule": life} if life else {}


@dataclass(frozen=True)
class Sales:
    """A KPI that is too low, then revised to be high enough, over four steps."""

    name: str = "kpi"

    @property
    def definition(self) -> str:
        return definition_of("{name: rule, type: kpi, kpi: sales, below: 10}")

    def send(self, cluster: Cluster, now: Moment) -> None:
        step = now.step
        hour, value = ((step, 12.0), (step, 7.0), (step - 1, 11.0), (step, 13.0))[step % 4]
        point = KpiPoint(name="sales", labels={}, timestamp_ms=event_time_ms(hour), value=value, model_id="")
        batch = KpiBatch(origin=cluster.origin(""), producer_id="k", seq=step, source="f", points=[point])
        cluster.send_bytes(KPIS, cluster.mlapp.encode(), cluster.codec.encode(batch))

    def expected(self, now: Moment) -> dict[str, Life]:
        """The revision ends the alert as of when it began."""
        steps = now.step
        life = [
            ("firing" if step % 4 == 1 else "resolved", event_time_ms(step - step % 4 + 1))
            for step in range(steps)
            if step % 4 in {1, 2}
        ]
        return {"rule": life} if life else {}


@dataclass(frozen=True)
class Silence:
    """A statistic that never comes is missed once; a node that reports is never, whatever the processors go through."""

    name: str = "no-data"

    @property
    def definition(self) -> str:
        return definition_of(
            "{name: rule, type: no_data, node: predict, statistic: absent, for: 5s}",
            "{name: quiet, type: no_data, node: predict, for: 2m}",
        )

    def send(self, cluster: Cluster, now: Moment) -> None:
        cluster.statistic(_at(now.step), "share", 1.0)

    def expected(self, now: Moment) -> dict[str, Life]:
        steps = now.step
        return {"rule": [("firing", -1)]} if steps else {}


@dataclass(frozen=True)
class ComponentAlerts:
    """A component raises an alert every 25 hours: each is over after 24 hours, and resolved when the next one is raised."""

    name: str = "component-alerts"

    @property
    def definition(self) -> str:
        return definition_of()

    def send(self, cluster: Cluster, now: Moment) -> None:
        step = now.step
        cluster.event(_at(25 * step), "GenericDataAlert", is_alert=True)

    def expected(self, now: Moment) -> dict[str, Life]:
        steps = now.step
        life = [
            transition
            for step in range(steps)
            for transition in (
                ("resolved", event_time_ms(25 * (step - 1)) + DAY),
                ("firing", event_time_ms(25 * step)),
            )
        ]
        return {"GenericDataAlert": life[1:]} if life else {}


@dataclass(frozen=True)
class AlwaysUpdate:
    """A model is published and accepted in each step."""

    name: str = "always-update"

    @property
    def definition(self) -> str:
        return definition_of()

    def send(self, cluster: Cluster, now: Moment) -> None:
        step = now.step
        cluster.model(_at(step), f"m{step}")
        cluster.accept(_at(step + 0.5), f"m{step}")

    def expected(self, now: Moment) -> dict[str, Life]:
        """``requested`` and what follows from it may come after the acceptance: only the order of the states is sure."""
        steps = now.step
        life = [(state, -1) for state in ("requested", "accepted", "active", "superseded")]
        return {f"m{step}": life if step < steps - 1 else life[:-1] for step in range(steps)}


QUICK: tuple[Scenario, ...] = (
    SeriesRule(
        "threshold",
        "{name: rule, type: threshold, statistic: share, above: 0.5}",
        values=(0.9, 0.1),
        changes=((0, "firing"), (1, "resolved")),
    ),
    SeriesRule(
        "threshold-for",
        "{name: rule, type: threshold, statistic: share, above: 0.5, for: 2h}",
        values=(0.9, 0.8, 0.9, 0.1),
        changes=((0, "pending"), (2, "firing"), (3, "resolved")),
    ),
    SeriesRule(
        "threshold-keep-firing",
        "{name: rule, type: threshold, statistic: share, below: 0.5, keep_firing_for: 2h}",
        values=(0.1, 0.9, 0.9, 0.9),
        changes=((0, "firing"), (2, "resolved")),
    ),
    SeriesRule(
        "health",
        "{name: rule, type: health, measure: score, threshold: 0.4}",
        values=(0.2, 0.9),
        changes=((0, "firing"), (1, "resolved")),
        statistic="continuousDataHistogram.overlapResult",
        labels={"line": "overlapScore_temp"},
    ),
    ComponentAlerts(),
    AlwaysUpdate(),
)
"""Those whose transitions follow at once and come in each step."""

SCENARIOS: tuple[Scenario, ...] = (
    DetectedByCore("rate-of-change", "type: rate_of_change, over: 1h, above: 3"),
    DetectedByCore("z-score", "type: z_score, samples: 20, min_samples: 10, beyond: 4"),
    DetectedByCore(
        "change-point", "type: change_point, method: page_hinkley, threshold: 20, settle_samples: 10"
    ),
    ManyEvents(),
    Comparisons(),
    Sales(),
    Silence(),
    *QUICK,
)
