"""``mcenter up``: start the local stack."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from parallelm.connections.search import LOCAL_STACK_FOLDER, admin_file, settings_file
from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.folder import upgraded_from
from parallelm.mcenter.local_stack.output import TerminalOutput
from parallelm.mcenter.local_stack.plan import settings_path
from parallelm.mcenter.local_stack.services import SERVER, SERVICES
from parallelm.mcenter.local_stack.stack import run_stack
from parallelm.mcenter.local_stack.state import load_state
from parallelm.mcenter.number_options import PORT
from parallelm.mcenter.stack_options import data_option, default_folder, download_progress
from parallelm.mcenter.terminal import echo, echo_styled
from parallelm.operations.notifications import read_notifications
from parallelm.supervision.service_frame import announce_ready, interruptible, serving

_MOST_AGENTS = 20


@click.command()
@data_option
@click.option("--detach", is_flag=True, help="Return when everything is ready; `mcenter down` stops it.")
@click.option(
    "--service",
    "services",
    multiple=True,
    type=click.Choice(SERVICES),
    help="Run only this one; may be given several times.",
)
@click.option("--kafka-port", type=PORT, help="Port of the broker.")
@click.option("--clickhouse-port", type=PORT, help="Port of the native protocol.")
@click.option("--clickhouse-http-port", type=PORT, help="Port of ClickHouse's HTTP interface.")
@click.option("--registry-port", type=PORT, help="Port of the schema registry.")
@click.option(
    "--server-port", type=PORT, help="Port of pages and REST API.  [default: 3456 when it is free, else any]"
)
@click.option(
    "--notifications",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also run the notifier, with this file of routes and receivers.",
)
@click.option(
    "--agents",
    type=click.IntRange(0, _MOST_AGENTS),
    metavar="N",
    help="Agents that run pipelines here: local, or local-1 to local-N.  [default: 1, with --service 0]",
)
def up(
    folder: Path,
    services: tuple[str, ...],
    notifications: Path | None,
    agents: int | None,
    *,
    detach: bool,
    **ports: int | None,
) -> None:
    """Start Kafka, ClickHouse, the schema registry, the sink, the processors, the server and an agent on this machine.

    Real processes on loopback, without Docker, a Java installation or root. All data are in the data folder. The
    first start downloads Kafka (44 MB); later ones need no network. Ports that no option
    names are chosen once and stay the same. Ctrl-C stops everything. In a folder below one that has a stack, that stack
    starts.
    """
    if folder == default_folder() and folder.parent != Path.cwd():
        echo(f"This is the stack of {folder.parent}; `--data {LOCAL_STACK_FOLDER}` makes another one here.")
    if former := upgraded_from(folder):
        echo(
            f"{folder} was last used by mcenter {former}. What is new is added now, and an older mcenter will not open it "
            "any more."
        )
    if notifications is not None:
        read_notifications(notifications, os.environ)  # a notifier could not run with a wrong one
    if agents is None:
        agents = 0 if services else 1
    stack = LocalStack(folder, services or SERVICES, notifications=notifications, agents=agents, **ports)
    if detach:
        with interruptible(), download_progress() as progress:
            stack.start(detached=True, progress=progress)
        _print_addresses(stack)
        echo("Stop it with: mcenter down" + _data_argument(folder))
        return
    with download_progress() as progress:
        stack.fetch(progress)
    with serving() as stop:
        run_stack(stack.plan, TerminalOutput(), stop, lambda: _print_ready(stack))


def _print_ready(stack: LocalStack) -> None:
    _print_addresses(stack)
    echo("Ctrl-C stops it.")
    announce_ready()


def _print_addresses(stack: LocalStack) -> None:
    from parallelm.server.accounts import first_administrator
    from parallelm.server.run import attach_call

    folder, clickhouse = stack.plan.folder, stack.settings.clickhouse
    state = load_state(folder)
    more = {"clickhouse": f", http://{clickhouse.host}:{clickhouse.http_port}, user {clickhouse.user}"}
    echo_styled("The stack is ready.", bold=True)
    for process in state.processes if state else ():
        if process.address:
            echo(f"  {process.name:<12}{process.address}{more.get(process.name, '')}")
        if process.name == SERVER and (call := attach_call(f"http://{process.address}")):
            echo(f"  {'notebooks':<12}{call}")
    path = settings_path(folder)
    echo(f"  {'settings':<12}{path} (user {clickhouse.user} with password, read-only)")
    echo(f"  {'to write':<12}{admin_file(path)} (user {stack.admin_settings.clickhouse.user} with password)")
    if link := first_administrator.left_in(folder):
        echo(f"  {'sign in':<12}{link} (once: choose your name and password)")
    if not _is_found(path):
        echo(f"For other commands: export MCENTER_CONFIG={shlex.quote(str(path))}")


def _is_found(path: Path) -> bool:
    """Whether commands that are run here find this settings file by themselves."""
    found = settings_file(os.environ)
    return found is not None and found.resolve() == path.resolve()


def _data_argument(folder: Path) -> str:
    """The ``--data`` that names the folder, where it is not the default one."""
    return "" if folder == default_folder() else f" --data {shlex.quote(str(folder))}"
