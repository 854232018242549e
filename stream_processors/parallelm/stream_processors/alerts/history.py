"""What a revision changes of the history of an alert, and the steps that say so.

A transition once sent is never taken back. What does not hold any longer is corrected by another that names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from parallelm.schemas.records import AlertState
from parallelm.stream_processors.alerts.lifecycle import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENDS = frozenset({AlertState.RESOLVED, AlertState.INACTIVE})


class Held(NamedTuple):
    """A step that was sent and not corrected."""

    state: AlertState
    at_ms: float
    started_ms: float


def held(step: Step) -> Held:
    """What identifies a step within its alert."""
    return Held(step.state, step.at_ms, step.started_ms)


def corrections(sent: Sequence[Held], steps: Sequence[Step]) -> tuple[list[Step], list[Held]]:
    """Steps that lead from what was sent to ``steps``, the whole history as it is known now; and what is sent then.

    A step that goes on from what was sent is as it is; one that corrects says ``revised`` and names what it corrects.
    """
    now, known = {held(step) for step in steps}, set(sent)
    wrong = [each for each in sent if each not in now]
    added = [step for step in steps if held(step) not in known]
    found: list[Step] = []
    for step in added:
        earlier = min((each for each in wrong if _rank(step, each, steps)), default=None,
                      key=lambda each: _rank(step, each, steps))  # fmt: skip
        if earlier is not None:
            wrong.remove(earlier)
        found.append(step if earlier is None else _revised(step, earlier))
    corrected = [(each, _correction(each, wrong, steps)) for each in wrong]
    stays = [
        each if step is None else held(step)
        for each, step in corrected
        if (step is None and each.state is AlertState.FIRING)
        or (step is not None and step.state is AlertState.FIRING)
    ]
    first = [step for _, step in corrected if step is not None]
    return [*first, *found], [*(held(step) for step in steps), *stays]


def _rank(step: Step, earlier: Held, steps: Sequence[Step]) -> int:
    """How well a step corrects an earlier one of its episode, best first; 0: not at all."""
    if step.started_ms != earlier.started_ms:
        return 0
    if step.state not in _ENDS:
        return int(step.state is earlier.state)
    if earlier.state in _ENDS:
        return 2
    if earlier.state is not AlertState.FIRING:
        return 0
    if earlier.at_ms == step.at_ms:
        return 1
    return 0 if _has_fired(earlier, steps) else 3


def _has_fired(at: Held, steps: Sequence[Step]) -> bool:
    """Whether the episode fires by then: one more ``firing`` of it is not wrong."""
    return any(
        step.state is AlertState.FIRING and step.started_ms == at.started_ms and step.at_ms <= at.at_ms
        for step in steps
    )


def _correction(wrong: Held, all_wrong: Sequence[Held], steps: Sequence[Step]) -> Step | None:
    """A step that corrects one in whose place there is no other; None when there is nothing to say."""
    if wrong.state in _ENDS:
        begun = [step for step in steps if step.started_ms == wrong.started_ms and step.state not in _ENDS]
        if not begun:
            return None  # the episode was none: the correction of its beginning says so
        again = begun[-1]._replace(previous_state=AlertState.INACTIVE, at_ms=wrong.at_ms)
        return _revised(again, wrong)
    if wrong.state is AlertState.FIRING:
        if _has_fired(wrong, steps):
            return None
        return _revised(Step(AlertState.RESOLVED, wrong.state, wrong.at_ms, wrong.started_ms), wrong)
    if any(each.state is AlertState.FIRING and each.started_ms == wrong.started_ms for each in all_wrong):
        return None
    return _revised(Step(AlertState.INACTIVE, wrong.state, wrong.at_ms, wrong.started_ms), wrong)


def _revised(step: Step, earlier: Held) -> Step:
    reason = f"revised: {step.reason}" if step.reason else "revised"
    return step._replace(reason=reason, revises=earlier)
