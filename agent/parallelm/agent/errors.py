"""Errors of the agent. Each message says what was wrong, the value, and what to do."""

from __future__ import annotations


class AgentError(Exception):
    """Base of this room's errors: the agent cannot go on."""


class NameTakenError(AgentError):
    """Another installation runs under this agent's name."""


class FolderInUseError(AgentError):
    """Another agent uses the data folder."""


class RunRefusedError(AgentError):
    """A run cannot be started here; the message is the reason that the control plane is told."""


class RunImpossibleError(RunRefusedError):
    """No agent can start a run, now or later: its definition asks for what cannot be done."""
