"""Modes of the library, which decide where reports go."""

from __future__ import annotations

from enum import Enum

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import is_text, quoted


class MLOpsMode(str, Enum):  # noqa: UP042 - str() of a member is part of the public contract
    """How the library runs."""

    STAND_ALONE = "stand_alone"
    """Prints every report; needs no platform."""
    ATTACH = "attach"
    """Connected from outside an MLApp, for example from a notebook."""
    AGENT = "agent"
    """Reports to the platform."""
    REST_ACCUMULATOR = "rest_accumulator"
    """Stores the newest value of each statistic in memory; see ``get_stats_map``."""

    @classmethod
    def from_str(cls, name: str) -> MLOpsMode:
        """Mode with this name, in any case; raises ``MLOpsException`` with the known names."""
        wanted = str.lower(name) if is_text(name) else None
        for mode in cls:
            if mode.value == wanted:
                return mode
        known = ", ".join(mode.value for mode in cls)
        raise MLOpsException(f"unknown mode {quoted(name)}; known modes: {known}")
