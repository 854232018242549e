"""Rules tried on history. Nothing changes by it, but who has a server and nothing else may try them, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from parallelm.operations.acting.calls import ms_of, path_of
from parallelm.operations.acting.choosing import Ways
from parallelm.operations.rule_trials import MAX_EPISODES, PastEpisode, RuleOutcome, RuleTrial, try_rules
from parallelm.schemas.records import AlertState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import MLAppDefinition

_TRIAL_S: Final = 600.0
_OUTCOME: Final = ("rule", "judged", "fired", "pending", "open", "firing_share", "longest_ms")
_EPISODE: Final = ("rule", "severity", "labels", "fired_reason", "ended_reason", "samples")


class RuleActions(Protocol):
    """Raises ``OperationError`` and what ClickHouse's driver raises."""

    def try_rules(
        self,
        definition: MLAppDefinition,
        *,
        start: str | None,
        end: str | None,
        rule: str | None,
        mlapp_id: str,
    ) -> RuleTrial:
        """What the rules of a definition would have done on the reports of an MLApp."""


class _Here:
    def __init__(self, settings: Settings, _author: Author) -> None:
        self._settings = settings

    def try_rules(
        self,
        definition: MLAppDefinition,
        *,
        start: str | None,
        end: str | None,
        rule: str | None,
        mlapp_id: str,
    ) -> RuleTrial:
        return try_rules(self._settings, definition, start=start, end=end, rule=rule, mlapp_id=mlapp_id)


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def try_rules(
        self,
        definition: MLAppDefinition,
        *,
        start: str | None,
        end: str | None,
        rule: str | None,
        mlapp_id: str,
    ) -> RuleTrial:
        asked = {"from": start, "to": end, "rule": rule, "limit": MAX_EPISODES}
        found = self._server.post(
            path_of("mlapps", mlapp_id, "rules", "trial"),
            params={name: value for name, value in asked.items() if value is not None},
            content=definition.source_yaml.encode(),
            headers={"Content-Type": "application/yaml"},
            answer_s=_TRIAL_S,
        )
        return RuleTrial(
            episodes=[_episode(each) for each in found["alerts"]],
            outcomes=[RuleOutcome(**{name: each[name] for name in _OUTCOME}) for each in found["outcomes"]],
            transitions=[],
            first_ms=_ms(found["first_time"]),
            last_ms=_ms(found["last_time"]),
        )


def _episode(found: Mapping[str, Any]) -> PastEpisode:
    return PastEpisode(
        **{name: found[name] for name in _EPISODE},
        state=AlertState(found["state"]),
        started_ms=ms_of(found["started_at"]),
        fired_ms=_ms(found["fired_at"]),
        ended_ms=_ms(found["ended_at"]),
        value=float(found["value"]),
        threshold=float(found["threshold"]),
    )


def _ms(moment: str | None) -> int | None:
    return None if moment is None else ms_of(moment)


rule_actions: Final = Ways[RuleActions](_Here, _ByServer)
"""``rule_actions(settings, None)``."""
