"""``mcenter logout``: let commands act without a server again."""

from __future__ import annotations

import os

import click

from parallelm.connections import load_settings
from parallelm.connections.search import login_file, settings_file
from parallelm.mcenter.terminal import echo


@click.command()
def logout() -> None:
    """Forget the token of `mcenter login`. It is valid until it is revoked on page Profile of the server."""
    file = settings_file(os.environ)
    kept = login_file(file) if file is not None else None
    if kept is None or not kept.is_file():
        raise click.ClickException("there is no mcenter.login.toml here: nobody has used `mcenter login`")
    url = load_settings({}, file=file).server.url
    kept.unlink()
    echo(f"{kept} is removed; revoke its token on {url}/profile")
