"""``mcenter notifier``: send notifications of alerts and deployments."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from parallelm.connections import load_settings
from parallelm.mcenter.logs import log_as_service
from parallelm.mcenter.number_options import SESSION_TIMEOUT_S
from parallelm.mcenter.terminal import echo
from parallelm.operations.notifications import UnknownRouteError, read_notifications, routes_of, try_route
from parallelm.operations.words import counted
from parallelm.supervision.health import HEALTH
from parallelm.supervision.service_frame import announce_ready, serving

DEFAULT_FILE = "notifications.yaml"
_FILE = click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=DEFAULT_FILE,
    show_default=True,
    help="Routes and receivers.",
)


@click.group(invoke_without_command=True)
@click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), default=DEFAULT_FILE, show_default=True,
    help="Routes and receivers.",
)  # fmt: skip
@click.option(
    "--session-timeout-s",
    type=SESSION_TIMEOUT_S,
    default=10.0,
    show_default=True,
    help="Seconds without a heartbeat after which another notifier takes over.",
)
@click.option(
    "--instance-id",
    default="",
    metavar="NAME",
    help="Name of this notifier that stays the same over restarts, unique among those that run: after an end of any kind "
    "it goes on at once when it is started again with it.",
)
@click.pass_context
def notifier(context: click.Context, file: Path, session_timeout_s: float, instance_id: str) -> None:
    """Send notifications of alerts and deployments to people, by the routes of a file.

    Without a sub-command it runs until it is stopped. Of several side by side one sends, and the others stand by.
    """
    if context.invoked_subcommand is not None:
        return
    from parallelm.schemas.errors import SchemaError
    from parallelm.stream_processors.notifications.edge.errors import NotifierError
    from parallelm.stream_processors.notifications.edge.service import run_notifier

    rules = read_notifications(file, os.environ)
    settings = load_settings()
    log_as_service(settings.log, service="notifier")
    try:
        with serving() as stop:
            run_notifier(
                settings,
                rules,
                stop,
                announce_ready,
                session_timeout_s=session_timeout_s,
                instance_id=instance_id,
                watch=HEALTH.watch,
            )
    except (SchemaError, NotifierError) as error:
        raise click.ClickException(str(error)) from error


@notifier.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--without-variables", is_flag=True, help="Do not look up ${NAME} in the environment.")
def validate(file: Path, *, without_variables: bool) -> None:
    """Check FILE without a cluster; ends with 1 and every mistake's line and column when it is not valid."""
    rules = read_notifications(file, None if without_variables else os.environ)
    echo(
        f"{file} is valid: {counted(len(routes_of(rules)), 'route')}, {counted(len(rules.receivers), 'receiver')}"
    )


@notifier.command()
@click.argument("route")
@_FILE
def test(route: str, file: Path) -> None:
    """Send a test message to the receiver of ROUTE: its name in the file, or its place, such as alerts/0.

    Needs no cluster. Ends with 1 when a target does not take it.
    """
    rules = read_notifications(file, os.environ)
    try:
        results = try_route(rules, route)
    except UnknownRouteError as error:
        raise click.BadParameter(str(error), param_hint="ROUTE") from error
    for target_id, failure in results.items():
        echo(f"{target_id}: {failure or 'sent'}")
    if not results:
        echo(f"route {route!r} has no receiver with a target: nobody is notified by it")
    if any(results.values()):
        sys.exit(1)
