"""``mcenter server``: run the server: pages and REST API."""

from __future__ import annotations

import dataclasses
import sys
import time

import click

from parallelm.connections import ConfigurationError, Settings, load_settings
from parallelm.mcenter.logs import log_as_service
from parallelm.mcenter.number_options import PORT
from parallelm.mcenter.terminal import echo
from parallelm.operations.authors import author_of_command
from parallelm.supervision.service_frame import announce_ready, serving


@click.group(invoke_without_command=True)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=PORT, help="Port to listen on.  [default: 3456 when it is free, else any]")
@click.pass_context
def server(context: click.Context, host: str | None, port: int | None) -> None:
    """Run the server: pages in a browser, and the REST API. Several side by side share one SQL database.

    What no option says is in section [server] of mcenter.toml.
    """
    if context.invoked_subcommand is None:
        _run(host, port)


@server.command()
@click.argument("user", required=False)
def reset_link(user: str | None) -> None:
    """Print a link by which USER chooses another password, once; unlocks the account. For who administers this machine.

    Without USER the link makes the first administrator, where there is none yet.
    """
    from parallelm.server.accounts import links
    from parallelm.server.accounts.audit import AuditLog
    from parallelm.server.accounts.database import Database
    from parallelm.server.accounts.recovery import reset_secret
    from parallelm.server.errors import ServerError

    settings = load_settings()
    own = settings.server
    try:
        database = Database(own.database_url)
        audit = AuditLog(database, settings)
        with audit.changing(author_of_command(settings)) as change:
            secret = reset_secret(change, user)
        # The server sends the record of it when it runs; without Kafka a link must be had, too.
        audit.close()
        url = database.remembered_url()
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    echo(f"{url}{links.PATH}?link={secret}")


def _administration() -> Settings | None:
    """Settings that may change tables, where this user knows any."""
    try:
        return load_settings(role="admin")
    except ConfigurationError:
        return None


def _run(host: str | None, port: int | None) -> None:
    from parallelm.server.accounts import first_administrator
    from parallelm.server.errors import ServerError
    from parallelm.server.run import attach_call, check_transport, listen, opened_context, run_server, url_of
    from parallelm.server.temporary_files import own_temporary_folder

    settings = load_settings()
    own = settings.server
    own = dataclasses.replace(
        own, host=own.host if host is None else host, port=own.port if port is None else port
    )
    settings = dataclasses.replace(settings, server=own)
    log_as_service(settings.log, service="server")
    try:
        check_transport(settings.server)
        with (
            serving() as stop,
            own_temporary_folder(),
            opened_context(settings, _administration()) as context,
            listen(settings.server.host, settings.server.port) as listener,
        ):
            url = url_of(settings.server, listener)
            context.database.remember_url(url)
            echo(f"MCenter Stream is at {url}/")
            if call := attach_call(url):
                echo(f"From a notebook: {call}")
            if link := first_administrator.make_link(context.database, url, time.time_ns() // 1_000_000):
                echo(first_administrator.in_words(context.database, link, shown=sys.stdout.isatty()))
            run_server(context, listener, stop, announce_ready)
    except ServerError as error:
        raise click.ClickException(str(error)) from error
