"""Who watches a series: found once for each series of an origin, and remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from parallelm.stream_processors.alerts.reports import ReportPart
from parallelm.stream_processors.alerts.rules import MLAppRule, ReportRule, SampleRule
from parallelm.stream_processors.alerts.series_labels import alert_labels
from parallelm.stream_processors.runtime.dead_letters import InvalidRecordError
from parallelm.stream_processors.series_stage.pages import Slot, slot_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.schemas.slicing import SlicedSeries
    from parallelm.stream_processors.alerts.rules import SeriesRule
    from parallelm.stream_processors.current_rules import MLAppRules
    from parallelm.stream_processors.series_stage.pages import Origin

_REMEMBERED = 20_000
_REMEMBERED_BYTES = 900
"""Longer headers are decoded anew each time: an answer remembered for one would never be found again."""
MAX_TEXT_BYTES = 100_000
MAX_MODEL_BYTES = 1_000
"""Texts of a watched series, and its model's id: what travels on, and what is remembered of it, must fit a record."""


class WindowPart(NamedTuple):
    """A rule over several series, and the labels under which this one counts."""

    rule: SampleRule
    labels: Mapping[str, str]


class Pulse(NamedTuple):
    """A rule that waits for a sign of life, and the labels of what is alive."""

    rule: MLAppRule
    labels: Mapping[str, str]


class Watchers(NamedTuple):
    """Everybody who watches one series of an origin."""

    slots: tuple[Slot, ...]
    windows: tuple[WindowPart, ...]
    reports: tuple[ReportPart, ...]
    pulses: tuple[Pulse, ...]
    metrics: tuple[str, ...]
    labels: dict[bytes, bytes]
    """The labels as decoded: they are what the answer is remembered by, and so must not go away."""

    def __bool__(self) -> bool:
        return bool(self.slots or self.reports or self.travels)

    @property
    def travels(self) -> bool:
        """Whether samples themselves are of use to the MLApp."""
        return bool(self.windows or self.pulses or self.metrics)


def watchers_of(origin: Origin, rules: MLAppRules, series: SlicedSeries) -> Watchers:
    """Everybody who watches a series; slots that are missing are made."""
    key = (series.name, series.model_id, id(series.labels))
    found: Watchers | None = origin.found.get(key)
    if found is None:
        found = _look_up(origin, rules, series)
        size_bytes = _text_bytes(series)
        if found and (size_bytes > MAX_TEXT_BYTES or len(series.model_id) > MAX_MODEL_BYTES):
            raise InvalidRecordError(
                f"a series of {series.name[:100].decode(errors='replace')!r} that rules watch has {size_bytes} bytes of "
                f"texts, {len(series.model_id)} of them its model's id; at most {MAX_TEXT_BYTES} and {MAX_MODEL_BYTES} "
                "are judged: shorten its labels or the id"
            )
        if size_bytes <= _REMEMBERED_BYTES:
            if len(origin.found) >= _REMEMBERED:
                origin.found.clear()
            origin.found[key] = found
    return found


def _text_bytes(series: SlicedSeries) -> int:
    labels = sum(len(key) + len(value) for key, value in series.labels.items())
    return labels + len(series.name) + len(series.model_id) + len(series.category) + len(series.graph_type)


def _look_up(origin: Origin, rules: MLAppRules, series: SlicedSeries) -> Watchers:
    statistic, model_id = series.name.decode(), series.model_id.decode()
    labels = {key.decode(): value.decode() for key, value in series.labels.items()}
    slots: list[Slot] = []
    windows: list[WindowPart] = []
    reports: list[ReportPart] = []
    for rule in rules.watching(statistic):
        own = alert_labels(rule, origin.ids, statistic, labels)
        if own is None:
            continue
        if isinstance(rule, ReportRule):
            reports.append(ReportPart(rule, own))
        elif rule.settings.aggregation is not None and isinstance(rule, SampleRule):
            by = rule.settings.aggregation.by
            windows.append(WindowPart(rule, {key: own[key] for key in by if key in own}))
        else:
            slots.append(slot_of(origin, rule, model_id, own, statistic))
    pulses = [
        Pulse(rule, alive)
        for rule in rules.waiting
        if (alive := rule.sign_of_life(origin.ids, statistic, labels)) is not None
    ]
    return Watchers(
        tuple(slots),
        tuple(windows),
        tuple(reports),
        tuple(pulses),
        tuple(rules.metrics.get(statistic, ())),
        series.labels,
    )


def slot_of(
    origin: Origin, rule: SeriesRule, model_id: str, labels: Mapping[str, str], statistic: str
) -> Slot:
    """The slot of a series for a rule, made when it is new."""
    key = slot_key(rule, model_id, labels)
    slot = origin.slots.get(key)
    if slot is None:
        slot = origin.add(key, rule, labels, statistic)
    slot.model_id = model_id
    return slot
