"""Why a run cannot be begun, or a model not be delivered."""

from __future__ import annotations

from parallelm.agent.errors import AgentError


class PreparationError(AgentError):
    """The run cannot begin on this host; the message is what the control plane is told."""


class DiskFullError(OSError):
    """The disk is full, and nothing on it may be deleted yet."""
