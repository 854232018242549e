"""``mcenter agent``: run the agent of this host, which runs pipelines."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click

from parallelm.connections import ConfigurationError, Settings, load_settings
from parallelm.mcenter.key_values import KEY_VALUE
from parallelm.mcenter.logs import log_as_service
from parallelm.supervision.health import HEALTH
from parallelm.supervision.service_frame import announce_ready, serving

_DEFAULT_FOLDER = Path("~/.mcenter/agent")


@click.command()
@click.option("--name", help="Its id, unique among all agents.  [default: the host's name]")
@click.option(
    "--labels",
    "labels",
    type=KEY_VALUE,
    multiple=True,
    help="A label by which definitions choose agents; repeatable. Added to those of the settings.",
)
@click.option(
    "--data",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Where it keeps runs and what it must know.  [default: {_DEFAULT_FOLDER}]",
)
@click.option(
    "--drain", is_flag=True, help="When it is ended by a signal, stop what runs first, and wait for it."
)
@click.option(
    "--runs-end-with-parent", is_flag=True, hidden=True, help="For supervisors: no run outlives it."
)
def agent(
    name: str | None,
    labels: tuple[tuple[str, str], ...],
    folder: Path | None,
    *,
    drain: bool,
    runs_end_with_parent: bool,
) -> None:
    """Run the agent of this host: it runs pipelines as the control plane says, and reports what becomes of them.

    One a host. Pipelines go on when it ends, and it finds them again when it is started with the same data folder: so it
    is upgraded by stopping it and starting the new version. What no option says is in section [agent] of mcenter.toml.
    """
    from parallelm.agent.errors import AgentError
    from parallelm.agent.options import MEGABYTE, AgentOptions
    from parallelm.agent.service.run import run_agent

    settings = load_settings()
    log_as_service(settings.log, service="agent")
    own = settings.agent
    options = AgentOptions(
        name=_checked_name(name or own.name or socket.gethostname()),
        folder=(folder or Path(own.data_folder or _DEFAULT_FOLDER)).expanduser().absolute(),
        labels=_labels(settings) | dict(labels),
        address=own.address,
        cpus=own.cpus,
        memory_bytes=own.memory_mbytes * MEGABYTE,
        heartbeat_interval_s=own.heartbeat_interval_s,
        metrics_interval_s=own.metrics_interval_s,
        store_max_bytes=own.store_max_mbytes * MEGABYTE,
        stops_runs=drain,
        supervisor_pid=os.getppid() if runs_end_with_parent else None,
    )
    try:
        with serving() as stop:
            run_agent(settings, options, stop, announce_ready, HEALTH.watch)
    except AgentError as error:
        raise click.ClickException(str(error)) from error


def _checked_name(name: str) -> str:
    from parallelm.definitions.identifiers import LONGEST_IDENTIFIER, is_identifier

    if not is_identifier(name):
        raise click.BadParameter(
            f"{name!r} is no id: it has up to {LONGEST_IDENTIFIER} letters, digits, dots, dashes and underscores, and begins "
            "with a letter or digit",
            param_hint="--name",
        )
    return name


def _labels(settings: Settings) -> dict[str, str]:
    """Labels of the settings: ``key=value`` with commas."""
    found = {}
    for each in filter(None, (part.strip() for part in settings.agent.labels.split(","))):
        key, sign, value = each.partition("=")
        if not sign or not key.strip():
            raise ConfigurationError(f"MCENTER_AGENT_LABELS: {each!r} is not key=value")
        found[key.strip()] = value.strip()
    return found
