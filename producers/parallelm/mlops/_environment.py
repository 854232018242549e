"""Who this component is: read once, by ``init()``, from the environment that the agent (or nobody) set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MLAPP_ID = "default"


class ComponentEnvironment(NamedTuple):
    """Ids of this component; empty text where the environment names none."""

    mlapp_id: str
    node_id: str
    pipeline_instance_id: str
    agent_id: str
    model_id: str

    def origin(self) -> dict[str, str]:
        """The four ids that every record carries."""
        return {
            "mlapp_id": self.mlapp_id,
            "node_id": self.node_id,
            "pipeline_instance_id": self.pipeline_instance_id,
            "agent_id": self.agent_id,
        }


def read_environment(environ: Mapping[str, str] | None = None) -> ComponentEnvironment:
    """Ids for reports to the platform. Nothing needs to be set."""
    import socket

    environ = os.environ if environ is None else environ
    return ComponentEnvironment(
        mlapp_id=environ.get("PM_WORKFLOW_INSTANCE_ID") or DEFAULT_MLAPP_ID,
        node_id=environ.get("PM_WORKFLOW_NODE_ID", ""),
        pipeline_instance_id=environ.get("PM_PIPELINE_INSTANCE_ID", ""),
        agent_id=environ.get("AGENT_PUBLIC_ADDRESS") or socket.gethostname(),
        model_id=environ.get("PM_MLOPS_MODEL_ID", ""),
    )
