"""``canary``: a new model first serves a part, and is compared with the live one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.records import DeploymentState, ModelPolicy
from parallelm.stream_processors.model_policy.policies import NextStep, PolicyCore

if TYPE_CHECKING:
    from parallelm.stream_processors.model_policy.settings import PolicySettings
    from parallelm.stream_processors.model_policy.state import Deployment, NodeDeployments


class Canary(PolicyCore, kind=ModelPolicy.CANARY):
    """Compare it, unless there is nothing to compare it with."""

    def next_step(
        self,
        settings: PolicySettings,
        node: NodeDeployments,
        candidate: Deployment,  # noqa: ARG002 - of all kinds
    ) -> NextStep:
        """A canary beside the live model."""
        live = node.active
        if live is None and node.target is not None and any(each.was_active for each in node.deployments):
            reason = f"a canary is compared with model {node.target.model_id} once that is live"
            return NextStep(DeploymentState.HELD, reason)
        if live is None:
            return NextStep(
                DeploymentState.REQUESTED, "policy canary: the node has no live model to compare with"
            )
        where = f"on node {settings.canary.node!r}" if settings.canary.node else "on some of its agents"
        return NextStep(
            DeploymentState.CANARY, f"policy canary: compared {where} with the live model {live.model_id}"
        )
