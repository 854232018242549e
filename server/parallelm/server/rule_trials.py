"""Trials of rules within a request: bounded in samples and time, and few at once, since each keeps a processor busy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parallelm.operations.rule_trials import try_rules
from parallelm.operations.trial_bounds import Bounds
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

if TYPE_CHECKING:
    from fastapi import Request

    from parallelm.operations.rule_trials import RuleTrial
    from parallelm.schemas.records import MLAppDefinition

AT_ONCE: Final = 2
"""Trials in a process."""
BOUNDS: Final = Bounds(samples=5_000_000, seconds=60.0)


def bounded_trial(request: Request, definition: MLAppDefinition, **asked: Any) -> RuleTrial:
    """As ``try_rules``; raises ``QuestionError`` beyond the bounds, and answers 503 while others try theirs."""
    places = request.app.state.rule_trials
    if not places.acquire(blocking=False):
        raise ApiProblemError(
            503,
            "busy",
            f"{AT_ONCE} trials of rules go on: try again in a moment",
            headers={"Retry-After": "5"},
        )
    try:
        return try_rules(context_of(request).settings, definition, bounds=BOUNDS, **asked)
    finally:
        places.release()
