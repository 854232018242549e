"""What the load of the fault tests is made of: one scenario for each rule type and policy, with what must come of it.

To add a rule type or a policy, add an entry to ``SCENARIOS``. A scenario is an MLApp of its own. It is driven in steps:
``send`` writes what components report in one step, ``expected`` says which transitions follow from the first steps.
Event times begin in 1971 and go on with the steps, so that a load may last as long as it likes. What is expected must
not depend on how records of different topics interleave: only one MLApp's records on one topic have an order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tests.stream_processors.live import DAY, START

if TYPE_CHECKING:
    from tests.stream_processors.live import Cluster

HOUR = 1 / 24
FIRST_DAY = -42 * 365.0
"""Days before ``START``."""

Life = list[tuple[str, int]]
"""States of one alert or deployment with their event times, in order; the time is -1 where it depends on interleaving."""


class Scenario(Protocol):
    """One MLApp, what happens in it, and what must follow."""

    @property
    def name(self) -> str:
        """Unique among the scenarios."""

    @property
    def definition(self) -> str:
        """YAML of the MLApp, which it calls ``app``."""

    def send(self, cluster: Cluster, step: int) -> None:
        """Write the records of one step; ``cluster.mlapp`` is the scenario's."""

    def expected(self, steps: int) -> dict[str, Life]:
        """Lives after so many steps, by the rule's name, the component alert's type or the model's id."""


def _at(hours: float) -> float:
    """Day for ``Cluster``'s writers."""
    return FIRST_DAY + hours * HOUR


def _ms(hours: float) -> int:
    return int(START + _at(hours) * DAY)


def _definition(rule: str = "") -> str:
    alerts = f"alerts:\n  - {rule}\n" if rule else ""
    return (
        "mlapp: app\nnodes:\n  - {id: train, type: model_producer}\n"
        f"  - {{id: predict, type: model_consumer, consumes: [train]}}\n{alerts}"
    )


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
        return _definition(self.rule)

    def send(self, cluster: Cluster, step: int) -> None:
        cluster.statistic(_at(step), self.statistic, self.values[step % len(self.values)], labels=self.labels)

    def expected(self, steps: int) -> dict[str, Life]:
        size = len(self.values)
        life = [
            (state, _ms(begin + at))
            for begin in range(0, steps, size)
            for at, state in self.changes
            if begin + at < steps
        ]
        return {"rule": life} if life else {}


@dataclass(frozen=True)
class ComponentAlerts:
    """A component raises an alert every 25 hours: each is over after 24 hours, and resolved when the next one is raised."""

    name: str = "component-alerts"

    @property
    def definition(self) -> str:
        return _definition()

    def send(self, cluster: Cluster, step: int) -> None:
        cluster.event(_at(25 * step), "GenericDataAlert", is_alert=True)

    def expected(self, steps: int) -> dict[str, Life]:
        life = [
            transition
            for step in range(steps)
            for transition in (("resolved", _ms(25 * (step - 1)) + DAY), ("firing", _ms(25 * step)))
        ]
        return {"GenericDataAlert": life[1:]} if life else {}


@dataclass(frozen=True)
class AlwaysUpdate:
    """A model is published and accepted in each step."""

    name: str = "always-update"

    @property
    def definition(self) -> str:
        return _definition()

    def send(self, cluster: Cluster, step: int) -> None:
        cluster.model(_at(step), f"m{step}")
        cluster.accept(_at(step + 0.5), f"m{step}")

    def expected(self, steps: int) -> dict[str, Life]:
        """``requested`` and what follows from it may come after the acceptance: only the order of the states is sure."""
        life = [(state, -1) for state in ("requested", "accepted", "active", "superseded")]
        return {f"m{step}": life if step < steps - 1 else life[:-1] for step in range(steps)}


SCENARIOS: tuple[Scenario, ...] = (
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
