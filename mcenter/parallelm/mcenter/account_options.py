"""What commands on accounts, groups and tokens share: the server, the role and the MLApp that it is on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.not_empty import not_empty
from parallelm.operations.acting.accounts import Accounts, server_of
from parallelm.server.access.matrix import ROLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelm.operations.acting.server_client import ServerClient

ROLE = click.Choice(ROLES)
ON_MLAPP = click.option(
    "--mlapp",
    "mlapp_id",
    default="*",
    show_default=True,
    callback=not_empty,
    help="The MLApp that the role is on; * is all, and what belongs to none.",
)
NAME = click.argument("name", metavar="NAME", callback=not_empty)


def accounts() -> Accounts:
    """Of the server that the settings name."""
    return Accounts(server_of(load_settings()))


@contextmanager
def server_in_person() -> Iterator[ServerClient]:
    """The same server by a session of whose token the settings have; asks for the password."""
    from parallelm.operations.acting.in_person import in_person
    from parallelm.operations.acting.signing_in import account_of

    settings = load_settings()
    server_of(settings)
    name = account_of(settings.server)
    password = click.prompt(f"password of {name}", hide_input=True, err=True)
    with in_person(settings.server, name, password) as server:
        yield server


def role_arguments(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command NAME, ROLE and ``--mlapp``."""
    return NAME(click.argument("role", metavar="ROLE", type=ROLE)(ON_MLAPP(command)))
