"""Alert rules tried on what was reported, before they are applied."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request

from parallelm.operations import definitions
from parallelm.operations.rule_trials import MAX_EPISODES, PastEpisode, RuleTrial
from parallelm.server.access.dependencies import require
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, Number, moment_of
from parallelm.server.api.definitions import DefinitionText
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.rule_trials import bounded_trial

ROUTER: Final = resource("rules")


class RuleOutcome(Answer):
    """What one rule would have done."""

    rule: str
    judged: int
    """Samples, or other records, that it has looked at."""
    fired: int
    pending: int
    """Episodes that ended before they fired, or are pending at the end."""
    open: int
    """Episodes that are firing at the end."""
    firing_share: Number
    """Share of the time in which at least one alert of the rule fired."""
    longest_ms: int


class PastAlert(Answer):
    """An alert as a rule would have raised it."""

    rule: str
    severity: str
    state: str
    labels: dict[str, str]
    started_at: Moment
    fired_at: Moment | None
    ended_at: Moment | None
    value: Number
    threshold: Number
    fired_reason: str
    ended_reason: str
    samples: int


class TrialResult(Answer):
    """What rules would have done on what was reported."""

    outcomes: list[RuleOutcome]
    alerts: list[PastAlert]
    """By their start."""
    left_out: int
    """Alerts beyond `limit`."""
    first_time: Moment | None
    """Of the first report; null when there is none."""
    last_time: Moment | None
    took_s: float


@ROUTER.post("/mlapps/{mlapp_id}/rules/trial", dependencies=[Depends(require(READ))])
def try_rules_on_history(
    request: Request,
    mlapp_id: MLAppId,
    text: DefinitionText,
    rule: Annotated[Name | None, Query(description="Only this rule of the file.")] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
    limit: Annotated[int, Query(ge=0, le=MAX_EPISODES, description="Most alerts that are told.")] = 1000,
) -> TrialResult:
    """When the rules of a file, of this MLApp or another, would have fired on what this MLApp has reported.

    Begin the range before the time that you ask about where a rule learns what is usual. A million samples take some seconds;
    more than 5 million, or a minute, are refused.
    """
    definition = definitions.validate_definition(text, "definition")
    began = time.monotonic()
    trial = bounded_trial(request, definition, start=from_, end=to, rule=rule, mlapp_id=mlapp_id)
    return _shown(trial, limit, time.monotonic() - began)


def _shown(trial: RuleTrial, limit: int, took_s: float) -> TrialResult:
    return TrialResult(
        outcomes=[RuleOutcome.model_validate(each) for each in trial.outcomes],
        alerts=[PastAlert.model_validate(_alert(each)) for each in trial.episodes[:limit]],
        left_out=max(0, len(trial.episodes) - limit),
        first_time=moment_of(trial.first_ms),
        last_time=moment_of(trial.last_ms),
        took_s=took_s,
    )


def _alert(episode: PastEpisode) -> dict[str, Any]:
    return {
        "rule": episode.rule,
        "severity": episode.severity,
        "state": episode.state.value,
        "labels": episode.labels,
        "started_at": moment_of(episode.started_ms),
        "fired_at": moment_of(episode.fired_ms),
        "ended_at": moment_of(episode.ended_ms),
        "value": episode.value,
        "threshold": episode.threshold,
        "fired_reason": episode.fired_reason,
        "ended_reason": episode.ended_reason,
        "samples": episode.samples,
    }
