"""Rules tried on history: when each would have fired and resolved, by the cores that the processors judge by."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.operations.errors import QuestionError
from parallelm.operations.trial_bounds import Budget
from parallelm.schemas.records import (
    AlertState,
    Event,
    KpiBatch,
    KpiPoint,
    Origin,
    RecordPosition,
)
from parallelm.stream_processors.alerts.past_records import PastRecord, PastSeries
from parallelm.stream_processors.alerts.replay import Replay
from parallelm.stream_processors.alerts.rules import MLAppRule, core_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from parallelm.connections import Settings
    from parallelm.operations.trial_bounds import Bounds
    from parallelm.schemas.records import AlertTransition, MLAppDefinition
    from parallelm.schemas.times import Time
    from parallelm.stream_processors.alerts.rules import RuleCore
    from parallelm.warehouse.queries import SampleRow

MAX_EPISODES = 100_000
"""Episodes that are remembered one by one; beyond, they are counted only."""


@dataclass(slots=True)
class PastEpisode:
    """One episode of an alert as a rule would have raised it; times are event time, epoch milliseconds."""

    rule: str
    severity: str
    labels: Mapping[str, str]
    started_ms: int
    state: AlertState
    fired_ms: int | None = None
    ended_ms: int | None = None
    value: float = math.nan
    threshold: float = math.nan
    fired_reason: str = ""
    ended_reason: str = ""
    samples: int = 1
    """Samples of the series from the start to the end, both included."""
    fired_id: str = ""
    """Transition by which it fired."""
    first_sample: int = 1
    """Number of the sample at the start, among those of its series."""


@dataclass(slots=True)
class RuleOutcome:
    """What one rule would have done."""

    rule: str
    judged: int = 0
    """Samples, or other records, that it has looked at."""
    fired: int = 0
    """Episodes that fired."""
    pending: int = 0
    """Episodes that ended before they fired, or are pending at the end."""
    open: int = 0
    """Episodes that are firing at the end."""
    firing_share: float = 0.0
    """Share of the time from the first to the last report in which at least one alert of the rule fired."""
    longest_ms: int = 0
    intervals: array[int] = field(default_factory=lambda: array("q"))
    """From when to when its episodes fired, one after the other: a rule may fire as often as there are samples."""


@dataclass(slots=True)
class RuleTrial:
    """What rules would have done."""

    episodes: list[PastEpisode]
    outcomes: list[RuleOutcome]
    transitions: list[AlertTransition]
    """Empty unless they were asked for."""
    first_ms: int | None
    """Event time of the first report; None when there is none."""
    last_ms: int | None


def try_rules(
    settings: Settings,
    definition: MLAppDefinition,
    *,
    start: Time | None = None,
    end: Time | None = None,
    rule: str | None = None,
    mlapp_id: str | None = None,
    with_transitions: bool = False,
    bounds: Bounds | None = None,
) -> RuleTrial:
    """Let the rules of a definition, or one of them, judge what was reported in a range of event time.

    ``mlapp_id`` names another MLApp whose reports to take.
    Raises ``QuestionError`` for a rule that is not there or that this version cannot judge and for what is beyond the
    bounds, and the driver's errors.
    """
    cores = _cores(definition, rule, mlapp_id or definition.mlapp_id)
    run = _Run(
        {core.settings.name for core in cores if core.revises},
        with_transitions=with_transitions,
        bounds=bounds,
    )
    replay = Replay(cores, run.on_transition)
    asked = {"mlapp_id": mlapp_id or definition.mlapp_id, "start": start, "end": end}
    arrived_ms = 0
    for arrived_ms, hand_in in heapq.merge(
        _statistics(settings, replay, run, asked),
        *_others(settings, cores, replay, run, asked),
        key=lambda each: each[0],
    ):
        if not run.begun:
            run.begun = True
            replay.on_definition(definition, arrived_ms)
        hand_in()
    # Nothing after a range that ends in the past was looked at: its silence says nothing.
    replay.finish(time.time_ns() // 1_000_000 if end is None and run.begun else None)
    return run.result(cores, replay)


def _cores(definition: MLAppDefinition, name: str | None, mlapp_id: str) -> list[RuleCore]:
    wanted = [each for each in definition.rules if name in {None, each.name}]
    if not wanted:
        known = ", ".join(each.name for each in definition.rules) or "none"
        what = f"no rule {name!r}" if name is not None else "no rules"
        raise QuestionError(f"MLApp {definition.mlapp_id!r} has {what}; there are: {known}")
    try:
        return [core_of(mlapp_id, each) for each in wanted]
    except (ValueError, KeyError, TypeError) as error:
        raise QuestionError(f"a rule cannot be judged: {error}") from error


class _Run:
    """Gathers what a replay says."""

    def __init__(self, revising: Collection[str], *, with_transitions: bool, bounds: Bounds | None) -> None:
        """``revising`` are the rules that correct what they have said: nothing of theirs is final before the end."""
        self._revising = revising
        self._budget = None if bounds is None else Budget(bounds)
        self.begun = False
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self._with_transitions = with_transitions
        self._transitions: list[AlertTransition] = []
        self._episodes: list[PastEpisode] = []
        self._open: dict[str, PastEpisode] = {}
        self._outcomes: dict[str, RuleOutcome] = {}

    def seen(self, event_ms: int) -> None:
        """Note the time of a report; raises ``QuestionError`` beyond the bounds."""
        if self._budget is not None:
            self._budget.spend()
        if self.first_ms is None or self.last_ms is None:
            self.first_ms = self.last_ms = event_ms
        self.first_ms, self.last_ms = min(self.first_ms, event_ms), max(self.last_ms, event_ms)

    def on_transition(self, transition: AlertTransition, seen: int) -> None:
        """Take a transition into its episode; ``seen`` samples of its series came until then."""
        if self._with_transitions:
            self._transitions.append(transition)
        episode = self._open.get(transition.alert_id)
        if episode is None:
            episode = PastEpisode(
                transition.rule,
                transition.severity,
                transition.labels,
                transition.started_at_ms,
                transition.state,
                first_sample=seen,
            )
            self._open[transition.alert_id] = episode
            if len(self._episodes) < MAX_EPISODES:
                self._episodes.append(episode)
        episode.state = transition.state
        episode.samples = seen - episode.first_sample + 1
        if transition.supersedes and transition.supersedes == episode.fired_id:
            episode.fired_ms, episode.fired_reason = None, ""
        if transition.state is AlertState.FIRING:
            if episode.fired_ms is None:
                episode.fired_ms, episode.fired_reason = transition.event_time_ms, transition.reason
                episode.fired_id = transition.transition_id
            episode.ended_ms, episode.ended_reason = None, ""
        if transition.state in {AlertState.RESOLVED, AlertState.INACTIVE}:
            episode.ended_ms, episode.ended_reason = transition.event_time_ms, transition.reason
            if transition.rule not in self._revising:
                self._count(self._open.pop(transition.alert_id))
        else:
            episode.value, episode.threshold = transition.value, transition.threshold

    def result(self, cores: Sequence[RuleCore], replay: Replay) -> RuleTrial:
        """Everything that was gathered."""
        for episode in self._open.values():
            self._count(episode)
        outcomes = [self._outcome(core.settings.name) for core in cores]
        for outcome in outcomes:
            outcome.judged = replay.judged[outcome.rule]
            if self.first_ms is not None and self.last_ms is not None and self.last_ms > self.first_ms:
                firing_ms = _union_ms(outcome.intervals, self.first_ms, self.last_ms)
                outcome.firing_share = firing_ms / (self.last_ms - self.first_ms)
        episodes = sorted(self._episodes, key=lambda each: (each.started_ms, each.rule))
        return RuleTrial(episodes, outcomes, self._transitions, self.first_ms, self.last_ms)

    def _outcome(self, rule: str) -> RuleOutcome:
        return self._outcomes.setdefault(rule, RuleOutcome(rule))

    def _count(self, episode: PastEpisode) -> None:
        outcome = self._outcome(episode.rule)
        if episode.fired_ms is None:
            outcome.pending += 1
            return
        outcome.fired += 1
        outcome.open += episode.ended_ms is None
        ended_ms = episode.ended_ms if episode.ended_ms is not None else self.last_ms or episode.fired_ms
        outcome.intervals.extend((episode.fired_ms, ended_ms))
        outcome.longest_ms = max(outcome.longest_ms, ended_ms - episode.fired_ms)


def _union_ms(intervals: array[int], first_ms: int, last_ms: int) -> int:
    """Length of the time that intervals cover together."""
    import numpy as np

    begins, ends = np.frombuffer(intervals, np.int64).reshape(-1, 2).T
    order = np.argsort(begins, kind="stable")
    begins, ends = begins[order], np.minimum(ends[order], last_ms)
    reached = np.maximum.accumulate(np.concatenate(([first_ms], ends)))[:-1]
    return int(np.maximum(0, ends - np.maximum(begins, reached)).sum())


_Handed = tuple[int, "Callable[[], None]"]


def _statistics(
    settings: Settings,
    replay: Replay,
    run: _Run,
    asked: Mapping[str, Any],
) -> Iterator[_Handed]:
    from parallelm.warehouse.queries import past_samples, past_series, statistic_names

    names = [name for name in statistic_names(settings, **asked) if replay.watches(name)]
    if not names:
        return
    known = {
        row["series"]: PastSeries(
            (asked["mlapp_id"], row["node_id"], row["pipeline_instance_id"], row["agent_id"]),
            row["name"],
            row["model_id"],
            row["labels"],
        )
        for row in past_series(settings, names, **asked)
    }
    samples = past_samples(settings, names, **asked)
    for (topic, partition, offset, arrived_ms), rows in itertools.groupby(samples, key=_record_of):
        position = RecordPosition(topic=topic, partition=partition, offset=offset)
        record = PastRecord(position, arrived_ms, _series_of(rows, known))
        for _, taken in record.series:
            for event_ms, _ in taken:
                run.seen(int(event_ms))
        yield arrived_ms, lambda record=record: replay.on_statistics(record)  # type: ignore[misc]


def _record_of(row: SampleRow) -> tuple[str, int, int, int]:
    return row.topic, row.partition, row.offset, row.ingested_ms


def _series_of(
    rows: Iterable[SampleRow], known: Mapping[int, PastSeries]
) -> list[tuple[PastSeries, list[tuple[float, float]]]]:
    found: list[tuple[PastSeries, list[tuple[float, float]]]] = []
    last = None
    for row in rows:
        if row.series != last:
            past = known.get(row.series)
            if past is None:  # reported while this ran
                continue
            found.append((past, []))
            last = row.series
        found[-1][1].append((row.event_ms, row.value))
    return found


def _others(
    settings: Settings, cores: Sequence[RuleCore], replay: Replay, run: _Run, asked: Mapping[str, Any]
) -> Iterator[Iterator[_Handed]]:
    """Events and KPIs, and which models were superseded, where a rule is about them."""
    from parallelm.warehouse.queries import past_events, past_kpis, past_successions

    wanted = {kind for core in cores if isinstance(core, MLAppRule) for kind in core.records}
    if Event in wanted:
        rows = past_events(settings, **asked)
        yield (_handed(replay, run, row, _event(row), row["event_ms"]) for row in rows)
    if KpiBatch in wanted:
        batches = itertools.groupby(past_kpis(settings, **asked), key=lambda row: tuple(map(row.get, _PLACE)))
        yield (_kpis(replay, run, list(rows)) for _, rows in batches)
    if any(core.about_model for core in cores):
        yield (_succession(replay, row) for row in past_successions(settings, **asked))


_PLACE = ("_topic", "_partition", "_offset")


def _handed(replay: Replay, run: _Run, row: Mapping[str, Any], record: Any, event_ms: int) -> _Handed:
    run.seen(event_ms)
    return row["ingested_ms"], lambda: replay.on_record(record, row["ingested_ms"], _position(row))


def _kpis(replay: Replay, run: _Run, rows: Sequence[Mapping[str, Any]]) -> _Handed:
    points = [
        KpiPoint(
            name=row["name"],
            labels=row["labels"],
            timestamp_ms=row["event_ms"],
            value=row["value"],
            model_id=row["model_id"],
            withdrawn=row["withdrawn"],
        )
        for row in rows
    ]
    first = rows[0]
    batch = KpiBatch(
        origin=_origin(first),
        producer_id=first["producer_id"],
        seq=first["seq"],
        source=first["source"],
        points=points,
    )
    for row in rows:
        run.seen(row["event_ms"])
    return _handed(replay, run, first, batch, first["event_ms"])


def _succession(replay: Replay, row: Mapping[str, Any]) -> _Handed:
    return row["ingested_ms"], lambda: replay.on_model_gone(
        row["node_id"],
        row["agent_id"],
        row["model_id"],
        row["related_model_id"],
        row["event_ms"],
        _position(row),
    )


def _event(row: Mapping[str, Any]) -> Event:
    data = row["data"]
    return Event(
        origin=_origin(row),
        producer_id=row["producer_id"],
        seq=row["seq"],
        event_time_ms=row["event_ms"],
        event_id=row["event_id"],
        type=row["type"],
        title=row["title"],
        description=row["description"],
        is_alert=row["is_alert"],
        model_id=row["model_id"],
        labels=row["labels"],
        content_type=row["content_type"],
        data=data.encode() if isinstance(data, str) else data,
    )


def _origin(row: Mapping[str, Any]) -> Origin:
    return Origin(
        mlapp_id=row["mlapp_id"],
        node_id=row["node_id"],
        pipeline_instance_id=row["pipeline_instance_id"],
        agent_id=row["agent_id"],
    )


def _position(row: Mapping[str, Any]) -> RecordPosition:
    return RecordPosition(topic=row["_topic"], partition=row["_partition"], offset=row["_offset"])
