"""``no_data``: a statistic, a node or an agent must not go quiet.

Silence has no event time: it is measured by the broker's clock, and its transitions are dated by it. Only the clock finds it,
once everything that had arrived is handled; a gap between two signs of life that the clock has not seen is none.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from parallelm.definitions.durations import approximate_duration, format_duration
from parallelm.schemas.records import (
    AggregateKind,
    AlertState,
    Event,
    KpiBatch,
    ModelAnnouncement,
    RuleAggregate,
)
from parallelm.stream_processors.alerts.explaining import moment
from parallelm.stream_processors.alerts.lifecycle import Step
from parallelm.stream_processors.alerts.rules import MLAppRule, Observation, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.schemas.records import MLAppDefinition, Origin
    from parallelm.stream_processors.alerts.rule import RuleSettings

FOUND = "found"
"""Memory of a group that has waited for any to report, when one has."""
_NEVER = -1


class Sign(NamedTuple):
    """What a record or the definition says about a group."""

    kind: Literal["alive", "expected", "found"]
    """It lives; it is to report, by the definition; or one of those for which it stands has reported by itself."""
    what: str
    """The group, in words."""
    at_ms: int | None = None
    """The broker's clock when it lived; None: that of the record."""


@dataclass(frozen=True, slots=True)
class Silence:
    """What is remembered of one group; times are the broker's."""

    what: str
    """The group, in words."""
    last_ms: int
    """Last sign of life, or since when one is waited for."""
    seen: bool = True
    expected: bool = False
    """It is in the definition, and so is never forgotten."""
    started_ms: int = _NEVER
    """Beginning of the silence that fires."""
    back_ms: int = _NEVER
    """When it reported again while firing."""

    @property
    def fires(self) -> bool:
        """Whether it is quiet, or was so lately."""
        return self.started_ms != _NEVER

    @property
    def is_back(self) -> bool:
        """Whether it fires and has reported again."""
        return self.fires and self.back_ms != _NEVER


class NoDataRule(MLAppRule, type_name="no_data"):
    """Remembers when each group has shown life."""

    records: ClassVar[tuple[type, ...]] = (RuleAggregate, Event, KpiBatch, ModelAnnouncement)
    waits_for_life: ClassVar[bool] = True

    def __init__(self, settings: RuleSettings, parameters: Mapping[str, Any]) -> None:
        super().__init__(settings, parameters)
        self._by: list[str] = parameters["by"]
        self._forget_ms = int(parameters["forget_after_ms"])
        matching = settings.matching
        self._of_statistic = bool(matching.statistic or matching.statistic_pattern)
        pattern = matching.statistic_pattern
        self._statistic = matching.statistic or (pattern.pattern if pattern is not None else "")
        self._awaits = self._groups_of_definition([]) is None

    # ---- what shows life ----------------------------------------------------------------------------------------

    def sign_of_life(
        self, origin: tuple[str, str, str, str], statistic: str, labels: Mapping[str, str]
    ) -> Mapping[str, str] | None:
        """Labels of the group that a statistic belongs to."""
        if self._of_statistic and not self.settings.matching.statistic_matches(statistic):
            return None
        _, node_id, pipeline, agent_id = origin
        return self._group(labels, node_id, pipeline, agent_id)

    def observe(self, record: Any) -> Iterator[Observation]:
        """Signs of life of statistics; everything else that a node sends when the rule names no statistic."""
        if isinstance(record, RuleAggregate):
            if record.kind is AggregateKind.SEEN:
                yield from self._life(record.labels, record.event_time_ms)
        elif not self._of_statistic and record.origin.node_id:
            origin: Origin = record.origin
            group = self._group({}, origin.node_id, origin.pipeline_instance_id, origin.agent_id)
            if group is not None:
                yield from self._life(group, None)

    def expected(self, definition: MLAppDefinition) -> Iterator[Observation]:
        """The groups that follow from the definition; else that there is to be one."""
        if self._awaits:
            yield Observation({}, Sign("expected", self._described({})), self._statistic)
            return
        for group in self._groups_of_definition([node.node_id for node in definition.nodes]) or ():
            yield Observation(group, Sign("expected", self._described(group)), self._statistic)

    def _life(self, group: Mapping[str, str], arrived_ms: int | None) -> Iterator[Observation]:
        yield Observation(group, Sign("alive", self._described(group), arrived_ms), self._statistic)
        if self._awaits:
            yield Observation({}, Sign("found", ""), self._statistic)

    def _group(
        self, labels: Mapping[str, str], node_id: str, pipeline: str, agent_id: str
    ) -> dict[str, str] | None:
        matching = self.settings.matching
        known = dict(labels) | {"node": node_id, "agent": agent_id, "pipeline": pipeline}
        if not matching.node_matches(node_id) or not matching.labels_match(known):
            return None
        return {key: known[key] for key in self._by if key in known}

    def _groups_of_definition(self, nodes: list[str]) -> list[dict[str, str]] | None:
        """Groups that are known before they report; None when the definition does not tell."""
        matching = self.settings.matching
        known = dict(matching.labels)
        if matching.node_id:
            known["node"] = matching.node_id
        if set(self._by) <= known.keys():
            return [{key: known[key] for key in self._by}]
        if self._of_statistic or not set(self._by) <= known.keys() | {"node"} or matching.patterns:
            return None
        return [{key: (known | {"node": node})[key] for key in self._by} for node in nodes]

    # ---- silence ------------------------------------------------------------------------------------------------

    def absorb(self, memory: Any, payload: Any, arrived_ms: int) -> Progress:
        """A group after a sign of life, or after a definition that has it."""
        sign = Sign(*payload)
        if memory == FOUND or sign.kind == "found":
            return self._found(memory, arrived_ms)
        if sign.kind == "expected":
            silence = Silence(sign.what, arrived_ms, seen=False, expected=True)
            return self._progress(silence if memory is None else Silence(*memory))
        at_ms = arrived_ms if sign.at_ms is None else sign.at_ms
        if memory is None:
            return self._progress(Silence(sign.what, at_ms))
        return self._alive(Silence(*memory), at_ms)

    def on_time(self, memory: Any, now_ms: int) -> Progress:
        """A group that may have gone quiet, is back for good, or has gone for good."""
        if memory == FOUND:
            return Progress(memory)
        silence = Silence(*memory)
        steps: list[Step] = []
        quiet_ms = int(silence.last_ms + self.settings.timing.for_ms)
        if silence.is_back and self._calm_ms(silence) <= now_ms and self._calm_ms(silence) < quiet_ms:
            silence, steps = self._resolved(silence)
        if now_ms >= quiet_ms:
            if not silence.fires:
                silence = replace(silence, started_ms=silence.last_ms)
                steps.append(self._fired(silence, now_ms))
            silence = replace(silence, back_ms=_NEVER)
        if not silence.expected and now_ms >= silence.last_ms + self._forget_ms:
            reason = f"{silence.what} has been quiet for {format_duration(self._forget_ms)}: it is not waited for any longer"
            at_ms = silence.last_ms + self._forget_ms
            return Progress(
                None, None, [*steps, self._step(AlertState.RESOLVED, silence, at_ms, now_ms, reason)]
            )
        return self._progress(silence, steps)

    def _found(self, memory: Any, arrived_ms: int) -> Progress:
        """The first of those that were waited for has reported: the others are not known."""
        if memory is None or memory == FOUND or not Silence(*memory).fires:
            return Progress(FOUND)
        silence = Silence(*memory)
        reason = f"{silence.what} has reported for the first time"
        at_ms = max(arrived_ms, self._fired_ms(silence))
        return Progress(FOUND, None, [self._step(AlertState.RESOLVED, silence, at_ms, arrived_ms, reason)])

    def _alive(self, silence: Silence, at_ms: int) -> Progress:
        """Partitions come in any order: what follows is decided by the clock, when all that had arrived is handled."""
        if silence.fires:
            first_ms = max(at_ms, self._fired_ms(silence))
            silence = replace(
                silence, back_ms=min(first_ms, silence.back_ms) if silence.is_back else first_ms
            )
        return self._progress(replace(silence, last_ms=max(silence.last_ms, at_ms), seen=True))

    def _resolved(self, silence: Silence) -> tuple[Silence, list[Step]]:
        quiet = approximate_duration(silence.back_ms - silence.started_ms)
        reason = f"{silence.what} is back after {quiet}"
        step = self._step(AlertState.RESOLVED, silence, self._calm_ms(silence), silence.back_ms, reason)
        return replace(silence, started_ms=_NEVER, back_ms=_NEVER), [step]

    def _fired(self, silence: Silence, now_ms: int) -> Step:
        limit = format_duration(self.settings.timing.for_ms)
        since = moment(silence.last_ms)
        if silence.seen:
            reason = f"{silence.what} has been quiet for {limit}; last reported at {since}"
        else:
            reason = f"{silence.what} has never reported; waited for since {since}, {limit} and more"
        return self._step(AlertState.FIRING, silence, self._fired_ms(silence), now_ms, reason)

    def _fired_ms(self, silence: Silence) -> int:
        return int(silence.started_ms + self.settings.timing.for_ms)

    def _calm_ms(self, silence: Silence) -> int:
        return int(silence.back_ms + self.settings.timing.keep_firing_for_ms)

    def _step(self, state: AlertState, silence: Silence, at_ms: int, until_ms: int, reason: str) -> Step:
        """A step whose value is the length of the silence in seconds."""
        previous = AlertState.INACTIVE if state is AlertState.FIRING else AlertState.FIRING
        length_s = (until_ms - silence.started_ms) / 1000
        limit_s = self.settings.timing.for_ms / 1000
        return Step(state, previous, at_ms, silence.started_ms, length_s, limit_s, reason)

    def _described(self, group: Mapping[str, str]) -> str:
        known = ", ".join(f"{key} {value!r}" for key, value in group.items())
        if not self._of_statistic:
            return known or "every node"
        return f"statistic {self._statistic!r}" + (f" of {known}" if known else "")

    def _progress(self, silence: Silence, steps: list[Step] | None = None) -> Progress:
        if silence.is_back:
            due_ms = min(silence.last_ms + self.settings.timing.for_ms, self._calm_ms(silence))
        elif not silence.fires:
            due_ms = silence.last_ms + self.settings.timing.for_ms
        elif silence.expected:
            return Progress(list(astuple(silence)), None, steps or ())
        else:
            due_ms = silence.last_ms + self._forget_ms
        return Progress(list(astuple(silence)), due_ms, steps or ())
