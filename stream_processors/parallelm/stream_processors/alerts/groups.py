"""What the MLApp's rules remember of each of their groups, as it is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parallelm.schemas.records import AlertState

MAX_SENT = 1_000
"""Transitions of a group that can be named by a revision."""


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """What a rule that is judged here remembers of one group."""

    rule: str
    form: str
    labels: dict[str, str]
    statistic: str
    model_id: str
    memory: Any
    due_ms: float | None = None
    sent: dict[str, str] = field(default_factory=dict)
    """Of a rule that revises: ids of its last transitions by what they said."""


def said(state: AlertState, at_ms: float, started_ms: float) -> str:
    """What identifies a transition within its alert."""
    return f"{state.value} {int(at_ms)} {int(started_ms)}"
