"""The alert rules of every MLApp, as of now, in the form in which each stage asks for them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.stream_processors.alerts.rules import MLAppRule, RuleCore, SeriesRule, cores_of
from parallelm.stream_processors.model_policy.watched import Watched, watched_metrics
from parallelm.stream_processors.runtime.daemon_threads import in_a_daemon_thread
from parallelm.stream_processors.runtime.patience import with_patience

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.definitions import DefinitionTopic
    from parallelm.schemas.records import MLAppDefinition


@dataclass(slots=True)
class MLAppRules:
    """Rules of one MLApp."""

    definition: MLAppDefinition
    by_name: dict[str, RuleCore]
    by_form: dict[str, RuleCore] = field(init=False)
    of_series: tuple[SeriesRule, ...] = field(init=False)
    waiting: tuple[MLAppRule, ...] = field(init=False)
    """Rules that wait for signs of life."""
    metrics: Mapping[str, Sequence[str]] = field(init=False)
    """Metrics of the model policy by the statistic that they are reported as."""
    distributions: frozenset[str] = field(init=False)
    """Structured statistics that the model policy compares."""
    _watching: dict[str, tuple[SeriesRule, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_form = {core.settings.form: core for core in self.by_name.values()}
        self.of_series = tuple(core for core in self.by_name.values() if isinstance(core, SeriesRule))
        self.waiting = tuple(
            core for core in self.by_name.values() if isinstance(core, MLAppRule) and core.waits_for_life
        )
        watched = _watched(self.definition)
        self.metrics, self.distributions = watched.metrics, watched.distributions

    @property
    def watches_series(self) -> bool:
        """Whether statistics of the MLApp matter to anybody."""
        return bool(self.of_series or self.waiting or self.metrics)

    def watching(self, statistic: str) -> tuple[SeriesRule, ...]:
        """Rules that are about a statistic, going by its name; the answer is remembered."""
        found = self._watching.get(statistic)
        if found is None:
            found = tuple(rule for rule in self.of_series if rule.watches(statistic))
            if len(self._watching) < _REMEMBERED_NAMES:
                self._watching[statistic] = found
        return found

    def about(self, record: object) -> list[MLAppRule]:
        """Rules that look at records of this class."""
        return [
            core
            for core in self.by_name.values()
            if isinstance(core, MLAppRule) and isinstance(record, core.records)
        ]


_REMEMBERED_NAMES = 10_000


def _watched(definition: MLAppDefinition) -> Watched:
    try:
        return watched_metrics(definition)
    except ValueError as error:  # written by another version, or by hand
        logger.warning("the policy of MLApp %r cannot be read: %r", definition.mlapp_id, error)
        return Watched({}, frozenset())


class CurrentRules:
    """Shared by the handlers of a worker; every worker knows every MLApp."""

    def __init__(self, topic: DefinitionTopic) -> None:
        self._topic = topic
        self._lock = asyncio.Lock()
        self._rules: dict[str, MLAppRules] = {}
        self._wanted = self._caught_up = 0
        self._wants_structured = False
        self.generation = 0
        """Counts the changes: what was looked up under another generation may be different now."""

    async def refresh(self) -> None:
        """Catch up with every definition that the broker had acknowledged before this call."""
        self._wanted += 1
        mine = self._wanted
        async with self._lock:
            if self._caught_up >= mine:  # another caller's reading began after this call
                return
            begun = self._wanted
            definitions = await with_patience(
                lambda: in_a_daemon_thread(self._topic.catch_up), "reading definitions"
            )
            for mlapp_id in self._rules.keys() - definitions.keys():
                del self._rules[mlapp_id]
                self.generation += 1
            for mlapp_id, definition in definitions.items():
                known = self._rules.get(mlapp_id)
                if known is None or known.definition is not definition:
                    self._rules[mlapp_id] = MLAppRules(definition, cores_of(definition))
                    self.generation += 1
            self._wants_structured = any(
                rules.waiting or rules.distributions for rules in self._rules.values()
            )
            self._caught_up = begun

    @property
    def wants_structured(self) -> bool:
        """Whether structured statistics matter to any MLApp."""
        return self._wants_structured

    def of(self, mlapp_id: str) -> MLAppRules | None:
        """Rules of an MLApp; None while it has no definition."""
        return self._rules.get(mlapp_id)
