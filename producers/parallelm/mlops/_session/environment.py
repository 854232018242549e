"""Ids of this component, which ``init()`` reads once from the environment variables that an agent sets."""

from __future__ import annotations

import os
from typing import NamedTuple

DEFAULT_MLAPP_ID = "default"


class ComponentEnvironment(NamedTuple):
    """Ids of this component; empty text where the environment names none."""

    mlapp_id: str
    node_id: str
    pipeline_instance_id: str
    agent_id: str
    model_id: str
    run_id: str = ""
    """Empty unless an agent has started it."""

    def origin(self) -> dict[str, str]:
        """The four ids that every record carries."""
        return {
            "mlapp_id": self.mlapp_id,
            "node_id": self.node_id,
            "pipeline_instance_id": self.pipeline_instance_id,
            "agent_id": self.agent_id,
        }


def read_environment(*, connected: bool) -> ComponentEnvironment:
    """Ids of this component. Nothing needs to be set; a component that is not connected runs on ``localhost``."""
    return ComponentEnvironment(
        mlapp_id=_id("PM_WORKFLOW_INSTANCE_ID") or DEFAULT_MLAPP_ID,
        node_id=_id("PM_WORKFLOW_NODE_ID"),
        pipeline_instance_id=_id("PM_PIPELINE_INSTANCE_ID"),
        agent_id=_id("AGENT_PUBLIC_ADDRESS") or (_host() if connected else "localhost"),
        model_id=_id("PM_MLOPS_MODEL_ID"),
        run_id=_id("MCENTER_RUN_ID"),
    )


def _id(variable: str) -> str:
    """Value of a variable. Bytes that are not UTF-8 become escapes, since no record can carry them."""
    return os.environ.get(variable, "").encode("utf-8", "backslashreplace").decode()


def _host() -> str:
    import socket

    return socket.gethostname()
