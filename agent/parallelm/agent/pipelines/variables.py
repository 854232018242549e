"""Environment variables of a run's programs: the ids that the component library reads, and the paths of the run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.connections.secrets import is_secret_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.agent.keeping.run_folder import RunFolder
    from parallelm.definitions.run_spec import RunSpec

SPOOL_FOLDER = "MCENTER_COMPONENT_SPOOL_FOLDER"
MODEL_ID, MODEL_PATH = "PM_MLOPS_MODEL_ID", "MCENTER_MODEL_PATH"
_OF_THE_AGENT = (
    "MCENTER_READY_FILE",
    "MCENTER_METRICS_PORT",
    "MCENTER_METRICS_HOST",
    "VIRTUAL_ENV",
    "NOTIFY_SOCKET",
)
"""Of a supervised process itself, not of what it starts."""


def of_host(environ: Mapping[str, str], spool_folder: str = "") -> dict[str, str]:
    """What programs inherit of the agent. It may hold secrets, and is in no file.

    ``spool_folder`` is where their reports pass, unless the environment names another folder, or none.
    """
    inherited = {name: value for name, value in environ.items() if name not in _OF_THE_AGENT}
    if spool_folder:
        inherited.setdefault(SPOOL_FOLDER, spool_folder)
    # Commands say `python` and mean the one that has the component library.
    inherited["PATH"] = os.pathsep.join(
        filter(None, (str(Path(sys.executable).parent), environ.get("PATH", os.defpath)))
    )
    return inherited


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """What of it may stand on a command line."""
    return {name: value for name, value in environ.items() if not is_secret_name(name)}


def of_run(spec: RunSpec, run: RunFolder, agent_id: str) -> dict[str, str]:
    """What all programs of a run are told. The node's own ``environment`` wins, except over ids."""
    return {
        "PYTHONUNBUFFERED": "1",
        **spec.running.environment,
        "PM_MLOPS_MODE": "agent",
        "PM_WORKFLOW_INSTANCE_ID": spec.mlapp_id,
        "PM_WORKFLOW_NODE_ID": spec.node_id,
        "PM_PIPELINE_INSTANCE_ID": spec.pipeline_instance_id,
        "AGENT_PUBLIC_ADDRESS": agent_id,
        "MCENTER_RUN_ID": spec.run_id,
        "MCENTER_RUN_ATTEMPT": str(spec.attempt),
        "MCENTER_NODE_INSTANCE": str(spec.instance),
        "MCENTER_WORK_FOLDER": str(run.work),
    }
