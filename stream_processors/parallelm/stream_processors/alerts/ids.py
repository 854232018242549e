"""Ids that derive from what they name, so that the same decision always has the same id."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.schemas.records import RecordPosition
    from parallelm.stream_processors.alerts.lifecycle import Step

_HEX_DIGITS = 24


def digest(*parts: object) -> str:
    """96 bits of SHA-256 over the parts, in hexadecimal. JSON keeps ``("a", "b")`` apart from ``("ab",)``."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_HEX_DIGITS]


def fingerprint(mlapp_id: str, rule: str, labels: Mapping[str, str]) -> str:
    """Id of an alert over all its episodes: rule and labels."""
    return digest(mlapp_id, rule, dict(labels))


def alert_id(of_fingerprint: str, started_ms: float) -> str:
    """Id of one episode: fingerprint and start."""
    return f"{of_fingerprint}-{int(started_ms)}"


def transition_id(of_fingerprint: str, step: Step, cause: RecordPosition, who: str = "") -> str:
    """Id of one change of state; equal for the same change with the same cause only."""
    return digest(
        of_fingerprint,
        step.state.value,
        step.previous_state.value,
        step.at_ms,
        step.started_ms,
        cause.topic,
        cause.partition,
        cause.offset,
        who,
    )
