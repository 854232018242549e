"""Rules over what was reported in the past: the same cores as the processors use, in the order in which records came in.

A replay begins with nothing remembered. What time alone changes (a series that has stopped, a window that is over) follows
from the broker's clock of the records, as it did then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.schemas.records import NO_RECORD, AlertState, RecordPosition, RuleAggregate
from parallelm.schemas.times import is_time
from parallelm.stream_processors.alerts import book, ids, series, windowed
from parallelm.stream_processors.alerts.book import OpenAlert, Subject
from parallelm.stream_processors.alerts.event_time import judged_at
from parallelm.stream_processors.alerts.groups import MAX_SENT, said
from parallelm.stream_processors.alerts.past_records import (
    PastRecord,
    PastSeries,
    part_of_windows,
    seen_in,
    sign_of_life,
)
from parallelm.stream_processors.alerts.reports import ReportPart, Reports
from parallelm.stream_processors.alerts.rules import MLAppRule, ReportRule, SampleRule, SeriesRule
from parallelm.stream_processors.alerts.series import Memory
from parallelm.stream_processors.alerts.series_labels import alert_labels
from parallelm.stream_processors.alerts.transitions import Cause
from parallelm.stream_processors.alerts.windows import WindowSums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from parallelm.schemas.records import AlertTransition, MLAppDefinition
    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rules import Progress, RuleCore

GATHER_MS = 2_000
"""Parts of windows are taken together over so long, as a batch of the processors does."""
PULSE_MS = 2_000
"""A sign of life of one thing counts at most this often."""


@dataclass(slots=True, eq=False)
class _Slot:
    rule: SeriesRule
    subject: Subject
    memory: Memory = field(default_factory=Memory)
    seen: int = 0
    """Samples that were handed in."""

    @property
    def quiet_ms(self) -> float:
        """Time alone changes nothing before the series has been silent for so long."""
        settings = self.rule.settings
        stale_ms = settings.stale_after_ms if settings.stale_after_ms is not None else series.DEFAULT_STALE_MS
        return min(stale_ms, settings.grace_ms or math.inf)


@dataclass(slots=True, eq=False)
class _Group:
    rule: RuleCore
    subject: Subject
    memory: Any = None
    due_ms: float | None = None
    gathered: dict[int, tuple[dict[float, WindowSums], RecordPosition]] = field(default_factory=dict)
    """Sums by partition."""
    pulsed_ms: float = -math.inf
    seen: int = 0
    """Samples, or other records, that were handed in."""
    sent: dict[str, str] = field(default_factory=dict)
    """What rules that revise have said, by what it was."""


class _Watchers(NamedTuple):
    slots: tuple[_Slot, ...]
    windows: tuple[_Group, ...]
    reports: tuple[ReportPart, ...]
    pulses: tuple[tuple[_Group, RuleAggregate], ...]


class Replay:
    """Judges records that are handed in by the broker's clock, and calls ``on_transition`` for what follows.

    Its second argument is how many samples of the alert's series, or group, came until then.
    """

    def __init__(
        self, rules: Sequence[RuleCore], on_transition: Callable[[AlertTransition, int], None]
    ) -> None:
        self._rules = rules
        self._on_transition = on_transition
        self._found: dict[PastSeries, _Watchers] = {}
        self._slots: dict[tuple[Any, ...], _Slot] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._gathering: dict[_Group, None] = {}
        self._gathered_since = 0
        self._alerts: dict[str, OpenAlert] = {}
        self._seen: dict[str, int] = {}
        self._models_gone: set[tuple[str, str, str]] = set()
        self.judged: dict[str, int] = {rule.settings.name: 0 for rule in rules}
        """Samples, or other records, that each rule has looked at."""

    def watches(self, statistic: str) -> bool:
        """Whether any rule may be about a statistic, going by its name."""
        return any(
            rule.watches(statistic)
            if isinstance(rule, SeriesRule)
            else getattr(rule, "waits_for_life", False)
            for rule in self._rules
        )

    def on_definition(self, definition: MLAppDefinition, arrived_ms: int) -> None:
        """Begin to wait for what rules expect from the start."""
        for rule in self._rules:
            if isinstance(rule, MLAppRule):
                for observation in rule.expected(definition):
                    self._observed(rule, observation, arrived_ms, NO_RECORD)

    def on_statistics(self, record: PastRecord) -> None:
        """Judge one record of statistics."""
        if self._gathering and record.arrived_ms - self._gathered_since >= GATHER_MS:
            self._judge_gathered(record.arrived_ms)
        reports = Reports()
        for past, samples in record.series:
            watchers = self._found.get(past)
            if watchers is None:
                watchers = self._found[past] = self._look_up(past)
            for slot in watchers.slots:
                self._absorb(slot, samples, record)
            for group in watchers.windows:
                self._gather(group, samples, record)
            for part in watchers.reports:
                self.judged[part.rule.settings.name] += len(samples)
                reports.add(part, past.statistic, past.model_id, samples, record.arrived_ms)
            for group, seen in watchers.pulses:
                self._pulse(group, seen, record)
        self._judge_reports(reports, record)

    def on_record(self, record: Any, arrived_ms: int, position: RecordPosition) -> None:
        """Let the MLApp's rules look at an event or KPIs."""
        for rule in self._rules:
            if isinstance(rule, MLAppRule) and isinstance(record, rule.records):
                for observation in rule.observe(record):
                    self._observed(rule, observation, arrived_ms, position)

    def on_model_gone(
        self, node_id: str, agent_id: str, model_id: str, successor: str, at_ms: int, position: RecordPosition
    ) -> None:
        """Alerts about a model end where it is superseded; without an agent, for all agents of the node."""
        self._models_gone.add((node_id, agent_id, model_id))
        for name, alert in list(self._alerts.items()):
            if (alert.of_model, alert.node_id) == (model_id, node_id) and agent_id in {"", alert.agent_id}:
                reason = f"model {model_id} was superseded by {successor}"
                self._settle(name, *book.ended(alert, at_ms, reason, Cause(position, 0)))

    def finish(self, now_ms: int | None) -> None:
        """Judge what waits; with ``now_ms``, the broker's clock has reached that time and nothing more has come."""
        self._judge_gathered(self._gathered_since)
        for slot in list(self._slots.values()):
            if slot.memory.held:
                self._pass_time(slot, slot.memory.arrived_ms + slot.rule.settings.grace_ms)
            if now_ms is not None:
                self._pass_time(slot, now_ms)
        for group in list(self._groups.values()):
            if isinstance(group.rule, SampleRule):
                self._progress(group, windowed.close_all(group.memory, group.rule), NO_RECORD)
            if now_ms is not None:
                self._pass_group_time(group, now_ms)

    # ---- series -------------------------------------------------------------------------------------------------

    def _look_up(self, past: PastSeries) -> _Watchers:
        slots: list[_Slot] = []
        windows: list[_Group] = []
        reports: list[ReportPart] = []
        pulses: list[tuple[_Group, RuleAggregate]] = []
        for rule in self._rules:
            if isinstance(rule, MLAppRule) and rule.waits_for_life:
                alive = rule.sign_of_life(past.origin, past.statistic, past.labels)
                if alive is not None:
                    pulses.append((self._group(rule, alive, past), sign_of_life(rule, past, alive)))
                continue
            if not isinstance(rule, SeriesRule) or not rule.watches(past.statistic):
                continue
            own = alert_labels(rule, past.origin, past.statistic, past.labels)
            if own is None:
                continue
            if isinstance(rule, ReportRule):
                reports.append(ReportPart(rule, own))
            elif rule.settings.aggregation is not None:
                by = rule.settings.aggregation.by
                windows.append(self._group(rule, {key: own[key] for key in by if key in own}, past))
            else:
                slots.append(self._slot(rule, own, past.statistic, past.model_id))
        return _Watchers(tuple(slots), tuple(windows), tuple(reports), tuple(pulses))

    def _slot(self, rule: SeriesRule, labels: Mapping[str, str], statistic: str, model_id: str) -> _Slot:
        key = (rule.settings.form, model_id if rule.about_model else "", tuple(sorted(labels.items())))
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = _Slot(rule, Subject(labels, statistic, model_id))
        elif slot.subject.model_id != model_id:
            slot.subject = Subject(labels, slot.subject.statistic, model_id)
        return slot

    def _absorb(self, slot: _Slot, samples: Sequence[tuple[float, float]], record: PastRecord) -> None:
        rule = slot.rule
        assert isinstance(rule, SampleRule)  # noqa: S101 - only such rules have slots of single series
        self.judged[rule.settings.name] += len(samples)
        if record.arrived_ms - slot.memory.arrived_ms >= slot.quiet_ms:
            self._pass_time(slot, record.arrived_ms)
        changes: series.Changes = []
        slot.memory = series.absorb(
            slot.memory,
            rule,
            samples,
            record.arrived_ms,
            record.position.offset,
            changes,
            slot.subject.statistic,
        )
        self._changed(slot, changes, record.position, samples)
        slot.seen += len(samples)

    def _judge_reports(self, reports: Reports, record: PastRecord) -> None:
        for found in reports.judged():
            slot = self._slot(found.rule, found.labels, found.statistic, found.model_id)
            self._pass_time(slot, record.arrived_ms)
            changes: series.Changes = []
            slot.memory = series.absorb_judged(
                slot.memory,
                found.rule.settings,
                found.judged,
                record.arrived_ms,
                record.position.offset,
                changes,
            )
            slot.seen += 1
            self._changed(slot, changes, record.position)

    def _pass_time(self, slot: _Slot, now_ms: int) -> None:
        memory = slot.memory
        while memory.arrived_ms and series.due_ms(memory, slot.rule.settings) <= now_ms:
            changes: series.Changes = []
            due_ms = series.due_ms(memory, slot.rule.settings)
            after = series.on_time(memory, slot.rule, due_ms, changes, slot.subject.statistic)
            self._changed(slot, changes, NO_RECORD)
            if after == memory:
                break
            memory = after or Memory()
        slot.memory = memory

    def _changed(
        self,
        slot: _Slot,
        changes: series.Changes,
        position: RecordPosition,
        samples: Sequence[tuple[float, float]] = (),
    ) -> None:
        for step, offset in changes:
            cause = NO_RECORD
            if offset >= 0:
                cause = RecordPosition(topic=position.topic, partition=position.partition, offset=offset)
            seen = slot.seen + sum(at_ms // 1 <= step.at_ms for at_ms, _ in samples)
            self._step(slot.rule, slot.subject, step, cause, seen)

    # ---- windows and the MLApp's own rules ----------------------------------------------------------------------

    def _group(self, rule: RuleCore, labels: Mapping[str, str], past: PastSeries | None) -> _Group:
        key = (rule.settings.form, ids.digest(dict(labels)))
        group = self._groups.get(key)
        if group is None:
            statistic, model_id = (past.statistic, past.model_id) if past is not None else ("", "")
            group = self._groups[key] = _Group(rule, Subject(labels, statistic, model_id))
        return group

    def _gather(self, group: _Group, samples: Iterable[tuple[float, float]], record: PastRecord) -> None:
        aggregation = group.rule.settings.aggregation
        assert aggregation is not None  # noqa: S101 - a rule over windows has one
        if not self._gathering:
            self._gathered_since = record.arrived_ms
        self._gathering[group] = None
        windows, _ = group.gathered.get(record.position.partition, ({}, NO_RECORD))
        group.gathered[record.position.partition] = (windows, record.position)
        sketched = aggregation.function == "quantile"
        for at_ms, value in samples:
            if value != value or not is_time(at_ms):  # noqa: PLR0124 - NaN
                continue
            moment = judged_at(at_ms, record.arrived_ms)
            start = moment - moment % aggregation.window_ms
            windows.setdefault(start, WindowSums()).add(value, sketched=sketched)
            self.judged[group.rule.settings.name] += 1
            group.seen += 1

    def _judge_gathered(self, now_ms: int) -> None:
        arrived_ms = self._gathered_since
        for group in self._gathering:
            assert isinstance(group.rule, SampleRule)  # noqa: S101 - only such rules have windows
            parts = [
                part_of_windows(group.rule, group.subject, windows, at)
                for windows, at in group.gathered.values()
            ]
            position = max((at for _, at in group.gathered.values()), key=lambda at: at.offset)
            group.gathered.clear()
            self._pass_group_time(group, arrived_ms)
            self._progress(
                group, windowed.absorb_parts(group.memory, group.rule, parts, arrived_ms), position
            )
        self._gathering.clear()
        self._gathered_since = now_ms

    def _pulse(self, group: _Group, seen: RuleAggregate, record: PastRecord) -> None:
        if record.arrived_ms - group.pulsed_ms < PULSE_MS:
            return
        group.pulsed_ms = record.arrived_ms
        rule = group.rule
        assert isinstance(rule, MLAppRule)  # noqa: S101 - only such rules wait for signs of life
        for observation in rule.observe(seen_in(seen, record)):
            self._observed(rule, observation, record.arrived_ms, record.position)

    def _observed(self, rule: MLAppRule, observation: Any, arrived_ms: int, position: RecordPosition) -> None:
        self.judged[rule.settings.name] += 1
        group = self._group(rule, observation.labels, None)
        self._pass_group_time(group, arrived_ms)
        group.seen += 1
        group.subject = Subject(observation.labels, observation.statistic, observation.model_id)
        self._progress(group, rule.absorb(group.memory, observation.payload, arrived_ms), position)

    def _pass_group_time(self, group: _Group, now_ms: int) -> None:
        rule = group.rule
        while group.due_ms is not None and group.due_ms <= now_ms:
            before = (group.memory, group.due_ms)
            due_ms = math.ceil(group.due_ms)
            if isinstance(rule, SampleRule):
                self._progress(group, windowed.on_time(group.memory, rule, due_ms), NO_RECORD)
            elif isinstance(rule, MLAppRule):
                self._progress(group, rule.on_time(group.memory, due_ms), NO_RECORD)
            if before == (group.memory, group.due_ms):
                break

    def _progress(self, group: _Group, progress: Progress, position: RecordPosition) -> None:
        group.memory, group.due_ms = progress.memory, progress.due_ms
        for step in progress.steps:
            supersedes = group.sent.get(said(*step.revises), "") if step.revises is not None else ""
            sent = self._step(group.rule, group.subject, step, position, group.seen, supersedes)
            if group.rule.revises and sent:
                group.sent[said(step.state, step.at_ms, step.started_ms)] = sent
        group.sent = dict(list(group.sent.items())[-MAX_SENT:])

    # ---- alerts -------------------------------------------------------------------------------------------------

    def _step(
        self,
        rule: RuleCore,
        subject: Subject,
        step: Step,
        cause: RecordPosition,
        seen: int,
        supersedes: str = "",
    ) -> str:
        """Take a step of a rule; id of the last transition that it led to, empty when it changed nothing."""
        place = (subject.labels.get("node", ""), subject.labels.get("agent", ""), subject.model_id)
        if rule.about_model and step.state in {AlertState.PENDING, AlertState.FIRING}:
            node_id, _, model_id = place
            if {place, (node_id, "", model_id)} & self._models_gone:
                return ""
        name = book.fingerprint_of(rule, subject)
        if rule.revises:  # each of its episodes is an alert of its own
            name = ids.alert_id(name, step.started_ms)
        self._seen[name] = seen
        alert, sent = book.on_step(self._alerts.get(name), rule, subject, step, Cause(cause, 0), supersedes)
        self._settle(name, alert, sent)
        return sent[-1].transition_id if sent else ""

    def _settle(self, name: str, alert: OpenAlert | None, sent: Iterable[AlertTransition]) -> None:
        if alert is None:
            self._alerts.pop(name, None)
        else:
            self._alerts[name] = alert
        for transition in sent:
            self._on_transition(transition, self._seen[name])
