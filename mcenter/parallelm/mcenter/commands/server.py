"""``mcenter server``: run the server: pages and REST API."""

from __future__ import annotations

import dataclasses
import sys
import time

import click

from parallelm.connections import load_settings
from parallelm.mcenter.logs import log_as_service
from parallelm.mcenter.number_options import PORT
from parallelm.mcenter.terminal import echo
from parallelm.supervision.service_frame import announce_ready, serving


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=PORT, help="Port to listen on.  [default: 3456 when it is free, else any]")
def server(host: str | None, port: int | None) -> None:
    """Run the server: pages in a browser, and the REST API. Several side by side share one SQL database.

    What no option says is in section [server] of mcenter.toml.
    """
    from parallelm.server.accounts import first_administrator
    from parallelm.server.errors import ServerError
    from parallelm.server.run import listen, opened_context, run_server

    settings = load_settings()
    own = settings.server
    own = dataclasses.replace(
        own, host=own.host if host is None else host, port=own.port if port is None else port
    )
    settings = dataclasses.replace(settings, server=own)
    log_as_service(settings.log, service="server")
    try:
        with (
            serving() as stop,
            opened_context(settings) as context,
            listen(settings.server.host, settings.server.port) as listener,
        ):
            address = "{}:{}".format(*listener.getsockname()[:2])
            url = f"http://{address}{settings.server.path_prefix}"
            echo(f"MCenter Stream is at {url}/")
            if link := first_administrator.make_link(context.database, url, time.time_ns() // 1_000_000):
                echo(first_administrator.in_words(context.database, link, shown=sys.stdout.isatty()))
            run_server(context, listener, stop, announce_ready)
    except ServerError as error:
        raise click.ClickException(str(error)) from error
