"""The alert of one rule and one series, over samples that may come late.

Samples younger than the grace period stay in a window. A late one goes to its place in it and the window is run again
from the alert's state before it; changes of state that come out differently are corrected by revisions, each naming the
transition it supersedes. What comes later than the grace period is counted and changes nothing.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from parallelm.stream_processors.alerts.ids import transition_id
from parallelm.stream_processors.alerts.lifecycle import Alert, Sample, Step, Timing, Verdict, advance, run

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_WINDOW = 256
"""Samples kept for corrections; a window that grows beyond is shortened from its start."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A change of state that was sent, with the id of its transition."""

    transition_id: str
    step: Step


@dataclass(frozen=True, slots=True)
class Decision:
    """A change of state to send. ``supersedes`` names the transition that it corrects; empty for none."""

    transition_id: str
    step: Step
    supersedes: str = ""
    taken_back: bool = False
    """The superseded transition has no successor: it should never have been."""
    late_ms: float | None = None
    """Event time of the late sample that made the correction necessary."""


@dataclass(frozen=True, slots=True)
class AlertSeries:
    """Everything that is remembered of one series: state before the window, the window, what was sent for it."""

    fingerprint: str
    before: Alert = field(default_factory=Alert)
    window: tuple[Sample, ...] = ()
    issued: tuple[Issued, ...] = ()
    alert: Alert = field(default_factory=Alert)
    cut_ms: float = float("-inf")
    """Event time up to which nothing can change any more."""
    revision: int = 0
    too_late: int = 0
    """Samples that came after their grace period."""


def absorb(
    series: AlertSeries, samples: Iterable[Sample], timing: Timing, grace_ms: float
) -> tuple[AlertSeries, list[Decision]]:
    """Series after some samples, in the order in which they arrived, and what is to be sent."""
    decisions: list[Decision] = []
    for sample in samples:
        newest = series.window[-1] if series.window else None
        if sample.at_ms > series.cut_ms and (newest is None or sample > newest):
            series = _append(series, sample, timing, decisions)
        elif sample.at_ms > series.cut_ms:
            series = _insert(series, sample, timing, decisions)
        elif sample.verdict is Verdict.ENDED:
            # An end always counts: where its own time is settled already, it comes with the newest sample.
            newest_ms = newest.at_ms if newest else series.cut_ms
            series = _append(series, replace(sample, at_ms=newest_ms), timing, decisions)
        else:
            series = replace(series, too_late=series.too_late + 1)
        series = _trim(series, timing, grace_ms)
    return series, decisions


def settled(series: AlertSeries) -> AlertSeries:
    """Series whose past is final: what was judged by a rule as it was is not judged again by the rule as it is now."""
    if not series.window:
        return series
    return replace(
        series, before=series.alert, window=(), issued=(), cut_ms=max(series.cut_ms, series.window[-1].at_ms)
    )


def _append(series: AlertSeries, sample: Sample, timing: Timing, decisions: list[Decision]) -> AlertSeries:
    alert, step = advance(series.alert, sample, timing)
    series = replace(series, alert=alert, window=(*series.window, sample))
    if step is None:
        return series
    issued = Issued(transition_id(series.fingerprint, step, series.revision), step)
    decisions.append(Decision(issued.transition_id, step))
    return replace(series, issued=(*series.issued, issued))


def _insert(series: AlertSeries, sample: Sample, timing: Timing, decisions: list[Decision]) -> AlertSeries:
    """Put a late sample in its place; the same sample again changes nothing."""
    if sample in series.window:
        return series
    window = list(series.window)
    insort(window, sample)
    alert, steps = run(series.before, window, timing)
    series = replace(series, window=tuple(window), alert=alert)
    if steps == [issued.step for issued in series.issued]:
        return series
    return _correct(replace(series, revision=series.revision + 1), steps, sample, decisions)


def _correct(series: AlertSeries, steps: list[Step], late: Sample, decisions: list[Decision]) -> AlertSeries:
    """Keep what still holds, and replace the rest one by one; what has no successor is taken back."""
    kept = 0
    while kept < min(len(steps), len(series.issued)) and steps[kept] == series.issued[kept].step:
        kept += 1
    wrong = series.issued[kept:]
    issued = list(series.issued[:kept])
    for index, step in enumerate(steps[kept:]):
        superseded = wrong[index].transition_id if index < len(wrong) else ""
        new_id = transition_id(series.fingerprint, step, series.revision)
        decision = Decision(new_id, step, superseded, late_ms=late.at_ms)
        decisions.append(decision)
        issued.append(Issued(decision.transition_id, step))
    for taken_back in wrong[len(steps) - kept :]:
        step = _undo(taken_back.step, steps, series.before)
        decision_id = transition_id(series.fingerprint, step, series.revision, taken_back.transition_id)
        decisions.append(
            Decision(decision_id, step, taken_back.transition_id, taken_back=True, late_ms=late.at_ms)
        )
    return replace(series, issued=tuple(issued))


def _undo(wrong: Step, steps: list[Step], before: Alert) -> Step:
    """The step that says that ``wrong`` never happened: back to the state that holds at its time."""
    earlier = [step for step in steps if step.at_ms <= wrong.at_ms]
    state = earlier[-1].state if earlier else before.state
    return Step(state, wrong.state, wrong.at_ms, wrong.started_ms, wrong.value)


def _trim(series: AlertSeries, timing: Timing, grace_ms: float) -> AlertSeries:
    """Drop samples older than the grace period; their changes of state are final."""
    # An end moves no watermark: its model's samples travel on another topic and may be behind it.
    newest_ms = max((s.at_ms for s in series.window if s.verdict is not Verdict.ENDED), default=series.cut_ms)
    cut = sum(1 for sample in series.window if sample.at_ms < newest_ms - grace_ms)
    cut = max(cut, len(series.window) - MAX_WINDOW)
    if cut <= 0:
        return series
    gone, kept = series.window[:cut], series.window[cut:]
    before, steps = run(series.before, gone, timing)
    return replace(
        series, before=before, window=kept, issued=series.issued[len(steps) :], cut_ms=gone[-1].at_ms
    )
