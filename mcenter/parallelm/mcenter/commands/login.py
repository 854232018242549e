"""``mcenter login``: let commands act through a server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from parallelm.connections import ServerSettings
from parallelm.connections.search import FILE_NAME, login_file, settings_file
from parallelm.mcenter.not_empty import not_empty
from parallelm.mcenter.terminal import echo
from parallelm.operations.authors import local_user


@click.command()
@click.argument("url", callback=not_empty)
@click.option("--user", help="Name of your account.  [default: asked for]")
@click.option(
    "--with-token", is_flag=True, help="Read a token from the standard input; without, one is made."
)
@click.option(
    "--ca-certs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM file with the authorities that are trusted for this server.  [default: the system's]",
)
def login(url: str, user: str | None, ca_certs: Path | None, *, with_token: bool) -> None:
    """Sign in at the server URL: from then on commands act through it, in your name.

    Asks for the password of your account and makes a token for 90 days, or takes the one of --with-token: those who sign
    in by an identity provider make it on page Profile. It is kept in mcenter.login.toml, beside mcenter.toml of this folder
    or the nearest one above, and counts where that file does.
    """
    from parallelm.operations.acting.signing_in import account_of, make_token, remember

    known = ServerSettings(url=url.rstrip("/"), ca_certs=str(ca_certs.absolute()) if ca_certs else "")
    if with_token:
        token = sys.stdin.readline().strip()
        if not token:
            raise click.UsageError("the standard input has no token")
    else:
        name = user or click.prompt("name", default=local_user())
        token = make_token(known, name, click.prompt("password", hide_input=True))
    own = ServerSettings(url=known.url, ca_certs=known.ca_certs, token=token)
    name = account_of(own)
    file = settings_file(os.environ)
    if file is None:
        file = Path.cwd() / FILE_NAME
        file.write_text(
            "# Settings of MCenter Stream; address and token of the server are in mcenter.login.toml\n"
        )
    remember(own, login_file(file))
    echo(f"commands act as {name} through {own.url} where {file} counts; the token is in {login_file(file)}")
    echo(
        "commands that read go on asking the Kafka and ClickHouse of the settings; `mcenter logout` ends this"
    )
