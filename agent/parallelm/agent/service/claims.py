"""Who holds an agent's name: epochs of installations, decided by the order of the ``agents`` topic. Pure.

An installation is a data folder. Of two with one name the one that registers first in the next epoch wins it; while it
lives (heartbeats) no other takes it. One that was silent and comes back, and finds a later epoch, has lost the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.agent.service.judging import ENDED, REMOVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.schemas.records import AgentState

SILENCE_S = 6.0
"""Whoever takes over a name listens for so long: an installation that sends no heartbeat then does not live."""


def next_epoch(states: Sequence[AgentState], installation_id: str) -> int:
    """Epoch in which this installation registers: its own again when it is the last, else the next one."""
    holder = holder_of(states)
    if holder is None:
        return 1
    return holder.epoch if holder.installation_id == installation_id else holder.epoch + 1


def holder_of(states: Sequence[AgentState]) -> AgentState | None:
    """The newest state of who holds the name; ``states`` in the order of the topic.

    Of several installations in the last epoch it is the one that came first.
    """
    if not states:
        return None
    last = max(state.epoch for state in states)
    winner = next(state for state in states if state.epoch == last)
    return [
        state for state in states if state.epoch == last and state.installation_id == winner.installation_id
    ][-1]


def rival(states: Sequence[AgentState], installation_id: str) -> AgentState | None:
    """Another installation that holds the name and has not said that it ends: it must not live."""
    holder = holder_of(states)
    if holder is None or holder.installation_id == installation_id or holder.state in {ENDED, REMOVED}:
        return None
    return holder


def is_lost_to(seen: AgentState, epoch: int, installation_id: str) -> bool:
    """Whether a state that somebody else has written says that this agent has lost its name."""
    return seen.epoch > epoch or (seen.epoch == epoch and seen.installation_id == installation_id)
