"""``always_update``: each new model goes to every node that consumes from its producer, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.records import DeploymentState, ModelPolicy
from parallelm.stream_processors.model_policy.policies import NextStep, PolicyCore

if TYPE_CHECKING:
    from parallelm.stream_processors.model_policy.settings import PolicySettings
    from parallelm.stream_processors.model_policy.state import Deployment, NodeDeployments


class AlwaysUpdate(PolicyCore, kind=ModelPolicy.ALWAYS_UPDATE):
    """Request it."""

    def next_step(
        self,
        settings: PolicySettings,  # noqa: ARG002 - of all kinds
        node: NodeDeployments,  # noqa: ARG002 - of all kinds
        candidate: Deployment,  # noqa: ARG002 - of all kinds
    ) -> NextStep:
        """Nothing stands between."""
        return NextStep(DeploymentState.REQUESTED, "policy always_update: every new model is deployed")
