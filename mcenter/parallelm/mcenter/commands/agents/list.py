"""``mcenter agents list``: list agents."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.results import result_options, write_result

if TYPE_CHECKING:
    from parallelm.operations.agents import Agent

_COLUMNS = [
    "agent",
    "state",
    "runs",
    "heard_s_ago",
    "host",
    "labels",
    "cpus",
    "memory_gb",
    "runners",
    "version",
    "epoch",
]


@click.command(name="list")
@click.option("--all", "also_removed", is_flag=True, help="Also those that were removed.")
@result_options
def list_(format_: str, output: Path | None, *, also_removed: bool) -> None:
    """List agents: how each is, what it may run, and when it was last heard of. Silent: not for 10 s."""
    import pandas as pd

    from parallelm.operations.agents import list_agents

    rows = [_row(agent) for agent in list_agents(load_settings(), also_removed=also_removed)]
    write_result(pd.DataFrame(rows, columns=_COLUMNS, dtype=object), format_, output)


def _row(agent: Agent) -> dict[str, object]:
    state = agent.state
    return {
        "agent": state.agent_id,
        "state": agent.condition,
        "runs": agent.runs,
        "heard_s_ago": None if agent.heard_ms_ago is None else round(agent.heard_ms_ago / 1000, 1),
        "host": state.hostname,
        "labels": ", ".join(f"{key}={value}" for key, value in sorted(state.labels.items())),
        "cpus": state.cpus,
        "memory_gb": round(state.memory_bytes / 1e9, 1),
        "runners": ", ".join(state.runners),
        "version": state.version,
        "epoch": state.epoch,
    }
