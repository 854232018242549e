"""``mcenter agents show``: show one agent with its runs."""

from __future__ import annotations

import dataclasses

import click

from parallelm.connections import load_settings
from parallelm.mcenter.cells import as_json
from parallelm.mcenter.silence_options import shown_time
from parallelm.mcenter.terminal import echo, echo_lines, write_text

_WIDTH = 16


@click.command()
@click.argument("agent")
@click.option("--json", "is_json", is_flag=True, help="As JSON.")
def show(agent: str, *, is_json: bool) -> None:
    """Show AGENT: how it is, and what runs on it. Runs as it told of them within the last 10 s or so."""
    from parallelm.operations.agents import find_agent

    found = find_agent(load_settings(), agent)
    state = found.state
    if is_json:
        more = {"condition": found.condition, "heard_ms_ago": found.heard_ms_ago, "runs": found.runs}
        write_text(as_json({**dataclasses.asdict(state), **more}, indent=2))
        return
    heard = "not for hours" if found.heard_ms_ago is None else f"{found.heard_ms_ago / 1000:.1f} s ago"
    for title, value in (
        ("agent", state.agent_id),
        ("state", found.condition),
        ("heard of", heard),
        ("host", state.hostname),
        ("address", state.address),
        ("labels", ", ".join(f"{key}={value}" for key, value in sorted(state.labels.items()))),
        ("cpus", f"{state.cpus:g}"),
        ("memory", f"{state.memory_bytes / 1e9:.1f} GB"),
        ("runners", ", ".join(state.runners)),
        ("version", state.version),
        ("epoch", str(state.epoch)),
        ("installation", state.installation_id),
        ("runs", str(found.runs)),
    ):
        if value:
            echo(f"{title:<{_WIDTH}}{value}")
    echo_lines("pipelines" if state.pipelines else "no pipelines")
    for each in state.pipelines:
        since = f" since {shown_time(each.since_ms)}" if each.since_ms else ""
        echo(
            f"  {each.mlapp_id}/{each.node_id}  run {each.run_id} attempt {each.attempt}: {each.state}{since}"
        )
