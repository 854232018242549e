"""The alert rules of every MLApp, as of now."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.stream_processors.alerts.aggregates import RuleIndex
from parallelm.stream_processors.alerts.rules import Rule, rules_of
from parallelm.stream_processors.runtime.daemon_threads import in_a_daemon_thread
from parallelm.stream_processors.runtime.patience import with_patience

if TYPE_CHECKING:
    from parallelm.definitions import DefinitionTopic
    from parallelm.schemas.records import MLAppDefinition

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _MLAppRules:
    definition: MLAppDefinition
    by_name: dict[str, Rule]
    index: RuleIndex


class CurrentRules:
    """Shared by the handlers of a worker; every worker knows every MLApp."""

    def __init__(self, topic: DefinitionTopic) -> None:
        self._topic = topic
        self._lock = asyncio.Lock()
        self._rules: dict[str, _MLAppRules] = {}

    async def refresh(self) -> None:
        """Catch up with every definition that the broker had acknowledged before this call."""
        async with self._lock:
            definitions = await with_patience(
                lambda: in_a_daemon_thread(self._topic.catch_up), "reading definitions"
            )
            for mlapp_id in self._rules.keys() - definitions.keys():
                del self._rules[mlapp_id]
            for mlapp_id, definition in definitions.items():
                known = self._rules.get(mlapp_id)
                if known is None or known.definition is not definition:
                    self._rules[mlapp_id] = _rules(definition)

    def by_name(self, mlapp_id: str) -> dict[str, Rule]:
        """Rules of an MLApp by name."""
        known = self._rules.get(mlapp_id)
        return known.by_name if known is not None else {}

    def index(self, mlapp_id: str) -> RuleIndex | None:
        """Rules of an MLApp by the statistic they watch; None when it has none."""
        rules = self._rules.get(mlapp_id)
        return rules.index if rules is not None and rules.by_name else None


def _rules(definition: MLAppDefinition) -> _MLAppRules:
    try:
        by_name = {rule.name: rule for rule in rules_of(definition)}
    except (ValueError, KeyError, TypeError) as error:  # written by another version, or by hand
        logger.warning("rules of MLApp %r cannot be read, none is judged: %r", definition.mlapp_id, error)
        by_name = {}
    return _MLAppRules(definition, by_name, RuleIndex(tuple(by_name.values())))
