"""``manual``: each new model waits until a person approves or rejects it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.definitions.durations import format_duration
from parallelm.schemas.records import DeploymentState, ModelPolicy
from parallelm.stream_processors.model_policy.policies import NextStep, PolicyCore

if TYPE_CHECKING:
    from parallelm.stream_processors.model_policy.settings import PolicySettings
    from parallelm.stream_processors.model_policy.state import Deployment, NodeDeployments


class Manual(PolicyCore, kind=ModelPolicy.MANUAL):
    """Ask a person."""

    def next_step(
        self,
        settings: PolicySettings,
        node: NodeDeployments,  # noqa: ARG002 - of all kinds
        candidate: Deployment,  # noqa: ARG002 - of all kinds
    ) -> NextStep:
        """A review, with its limit."""
        limit = settings.review_timeout_ms
        within = f" within {format_duration(limit)}" if limit else ""
        return NextStep(
            DeploymentState.AWAITING_APPROVAL, f"policy manual: a person approves or rejects it{within}"
        )
