"""Alert rules, one file for each type: what it watches, what it remembers, how it judges, and how it explains itself.

Adding a type is adding a file here and its form in ``definitions/rules``. A type is a subclass of one of the classes below, by
what it judges: samples of one series, a report of many series at once, or other records of the MLApp.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from parallelm.definitions.registered import import_modules_of
from parallelm.schemas.well_known import LINE_LABEL
from parallelm.stream_processors.alerts.rule import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.schemas.records import AlertRule, MLAppDefinition
    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rule import RuleSettings

logger = logging.getLogger(__name__)


class Explanation(NamedTuple):
    """The number that was compared, what it was compared with, and a sentence."""

    value: float
    threshold: float
    reason: str


class Judged(NamedTuple):
    """A sample that something else has judged already: a report of many features at once."""

    at_ms: float
    value: float
    breached: bool
    threshold: float
    reason: str


class RuleCore:
    """One rule of a definition. Immutable: what it remembers is passed in and returned."""

    type_name: ClassVar[str] = ""
    about_model: ClassVar[bool] = False
    """Whether its alerts are about one model, and end with it."""
    from_other_nodes: ClassVar[bool] = False
    """Whether other nodes than the model's own report what it judges."""
    revises: ClassVar[bool] = False
    """Whether it corrects what it has sent: each of its episodes is an alert of its own then."""

    def __init__(self, settings: RuleSettings, parameters: Mapping[str, Any]) -> None:
        self.settings = settings
        self.parameters = parameters

    def __init_subclass__(cls, *, type_name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if type_name:
            cls.type_name = type_name
            RULE_CORES[type_name] = cls


class SeriesRule(RuleCore):
    """A rule about statistics: judged where their records arrive, series by series."""

    memory_bytes: int = 0
    """What it remembers of a series at most, as JSON; some hundred bytes need no mention."""

    def watches(self, statistic: str) -> bool:
        """Whether it is about a statistic, going by its name alone."""
        return self.settings.matching.statistic_matches(statistic)

    def series_labels(self, statistic: str, labels: Mapping[str, str]) -> Mapping[str, str] | None:  # noqa: ARG002 - of all types
        """Labels that tell the alert of a series from those of others; None when the rule is not about it."""
        return labels if self.settings.matching.labels_match(labels) else None


class SampleRule(SeriesRule, ABC):
    """A rule that judges one sample after the other of one series, or of the windows over several."""

    @abstractmethod
    def judge(self, detector: Any, at_ms: float, value: float) -> tuple[Any, bool | None]:
        """What is remembered after a sample, and whether it breaches the condition; None: too little is known.

        ``detector`` is None at first, then what this returned: plain JSON values, since it is stored (a tuple comes
        back as a list). ``value`` may be infinite, never NaN.
        """

    @abstractmethod
    def explain(self, detector: Any, step: Step, statistic: str) -> Explanation:
        """Why a sample of a statistic led to a step.

        ``detector`` is what was remembered before the sample, ``step.value`` its value.
        """


class ReportRule(SeriesRule, ABC):
    """A rule that judges what one record says of several series together."""

    about_model: ClassVar[bool] = True

    @abstractmethod
    def decide(self, report: Mapping[str, Mapping[str, float]], at_ms: float) -> Iterator[tuple[str, Judged]]:
        """Judgement of each series by name. ``report`` is the values by series name and statistic, all of one time."""

    @abstractmethod
    def series_name(self, labels: Mapping[str, str]) -> str:
        """What statistics of one series have in common."""

    def judged_statistic(self, statistic: str) -> str:
        """The statistic that alerts about a series name: the same one, whichever of its statistics comes first."""
        return statistic


class Progress(NamedTuple):
    """What a record or time leads to in one group of an MLApp's rule."""

    memory: Any
    """What is remembered: plain JSON values; None forgets the group."""
    due_ms: float | None = None
    """When time alone changes it, by the broker's clock."""
    steps: Sequence[Step] = ()


class Observation(NamedTuple):
    """What a record says about one group of a rule."""

    labels: Mapping[str, str]
    """Labels of the group's alert. ``node``, ``agent`` and ``pipeline`` among them, where the rule tells them apart."""
    payload: Any
    statistic: str = ""
    model_id: str = ""


class MLAppRule(RuleCore, ABC):
    """A rule about what arrives on the MLApp's own topics, or about silence: judged on the MLApp's partition."""

    records: ClassVar[tuple[type, ...]] = ()
    """Classes of the records that it looks at."""

    @abstractmethod
    def observe(self, record: Any) -> Iterator[Observation]:
        """What a record says, by group; nothing when the rule is not about it."""

    @abstractmethod
    def absorb(self, memory: Any, payload: Any, arrived_ms: int) -> Progress:
        """One group after an observation; ``memory`` is None at first."""

    def on_time(self, memory: Any, now_ms: int) -> Progress:  # noqa: ARG002 - of all types
        """One group after the broker's clock has reached its ``due_ms``."""
        return Progress(memory)

    waits_for_life: ClassVar[bool] = False
    """Whether it must hear of statistics: they come as ``RuleAggregate`` of kind ``seen``."""

    def sign_of_life(
        self,
        origin: tuple[str, str, str, str],  # noqa: ARG002 - of all types
        statistic: str,  # noqa: ARG002 - as above
        labels: Mapping[str, str],  # noqa: ARG002 - as above
    ) -> Mapping[str, str] | None:
        """Labels of what a sample shows to be alive; None when the rule waits for something else.

        ``origin`` is MLApp, node, pipeline instance and agent.
        """
        return None

    def expected(self, definition: MLAppDefinition) -> Iterator[Observation]:  # noqa: ARG002 - of all types
        """Groups that are known from the definition on, before anything is reported; absorbed if they are new."""
        return iter(())


RULE_CORES: dict[str, type[RuleCore]] = {}
"""Every type of rule by its name in the file."""


def core_of(mlapp_id: str, rule: AlertRule) -> RuleCore:
    """Core of a rule; raises ``ValueError``, ``KeyError`` or ``TypeError`` for one that this version cannot judge."""
    core = RULE_CORES.get(rule.type)
    if core is None:
        raise ValueError(
            f"rule {rule.name!r} is of type {rule.type!r}; this version knows: {', '.join(sorted(RULE_CORES))}"
        )
    return core(*settings_of(mlapp_id, rule))


def cores_of(definition: MLAppDefinition) -> dict[str, RuleCore]:
    """Cores of a definition's rules by name. One that cannot be judged is logged, and judges nothing."""
    found = {}
    for rule in definition.rules:
        try:
            found[rule.name] = core_of(definition.mlapp_id, rule)
        except (ValueError, KeyError, TypeError) as error:  # written by another version, or by hand
            logger.warning("MLApp %r: rule %r cannot be judged: %r", definition.mlapp_id, rule.name, error)
    return found


def without_line(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without the name of the line in a graph."""
    return {key: value for key, value in labels.items() if key != LINE_LABEL}


import_modules_of(__name__)
