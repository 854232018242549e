"""``mcenter up``: start the local stack."""

from __future__ import annotations

from pathlib import Path

import click

from parallelm.connections.settings import LOCAL_STACK_FOLDER
from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.output import TerminalOutput
from parallelm.mcenter.local_stack.plan import profile_path, settings_path
from parallelm.mcenter.local_stack.services import SERVICES
from parallelm.mcenter.local_stack.stack import run_stack
from parallelm.mcenter.local_stack.state import load_state
from parallelm.mcenter.stack_options import data_option, download_progress
from parallelm.mcenter.terminal import echo, echo_styled
from parallelm.supervision.service_frame import announce_ready, interruptible, serving

_PORT = click.IntRange(1, 65_535)


@click.command()
@data_option
@click.option("--detach", is_flag=True, help="Return when all is ready; `mcenter down` stops it.")
@click.option(
    "--service",
    "services",
    multiple=True,
    type=click.Choice(SERVICES),
    help="Run only this one; may be given several times.",
)
@click.option("--kafka-port", type=_PORT, help="Port of the broker.")
@click.option("--clickhouse-port", type=_PORT, help="Port of the native protocol.")
@click.option("--clickhouse-http-port", type=_PORT, help="Port of ClickHouse's HTTP interface.")
@click.option("--registry-port", type=_PORT, help="Port of the schema registry.")
def up(folder: Path, services: tuple[str, ...], *, detach: bool, **ports: int | None) -> None:
    """Start Kafka, ClickHouse, the schema registry, the sink and the processors on this machine.

    Real processes on loopback, without Docker, a Java installation or root; their data stay in the data folder. The
    first start fetches Kafka (44 MB) once, later ones need no network. Ports that are not named are free ones and stay
    the same from start to start. Ctrl-C stops everything.
    """
    stack = LocalStack(folder, services or SERVICES, **ports)
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
    folder, clickhouse = stack.plan.folder, stack.settings.clickhouse
    state = load_state(folder)
    more = {"clickhouse": f", http://{clickhouse.host}:{clickhouse.http_port}, user {clickhouse.user}"}
    echo_styled("The stack is ready.", bold=True)
    for process in state.processes if state else ():
        if process.address:
            echo(f"  {process.name:<12}{process.address}{more.get(process.name, '')}")
    echo(f"  {'settings':<12}{settings_path(folder)} (with the password)")
    echo(f"  {'components':<12}{profile_path(folder)} (user {stack.profile.clickhouse.user}, may only read)")
    if _data_argument(folder):
        echo(f"For other commands: export MCENTER_CONFIG={settings_path(folder)}")


def _data_argument(folder: Path) -> str:
    """The ``--data`` that names the folder, where it is not the default one."""
    return "" if folder == Path.cwd() / LOCAL_STACK_FOLDER else f" --data {folder}"
