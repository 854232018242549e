"""``mcenter groups``: accounts that share roles."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.mcenter.account_options import NAME, ON_MLAPP, ROLE, accounts, role_arguments
from parallelm.mcenter.not_empty import not_empty
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo
from parallelm.operations.acting.accounts import in_words

_ACCOUNT = click.argument("account", metavar="ACCOUNT", callback=not_empty)


@click.group()
def groups() -> None:
    """Accounts that share roles: for administrators, through a server.

    A group that is called like one of the identity provider gets its members at their next sign-in.
    """


@groups.command(name="list")
@result_options
def list_(format_: str, output: Path | None) -> None:
    """List groups by name, with their roles and members."""
    import pandas as pd

    rows = [
        {"name": each["name"], "roles": in_words(each["roles"]), "members": ", ".join(each["members"])}
        for each in accounts().all_of("groups")
    ]
    write_result(pd.DataFrame(rows, columns=["name", "roles", "members"]), format_, output)


@groups.command()
@NAME
@click.option("--role", "roles", type=ROLE, multiple=True, help="A role that its members have; repeatable.")
@ON_MLAPP
@click.option("--member", "members", multiple=True, help="An account that is in it; repeatable.")
def add(name: str, roles: tuple[str, ...], mlapp_id: str, members: tuple[str, ...]) -> None:
    """Make a group."""
    held = [{"role": role, "mlapp_id": mlapp_id} for role in roles]
    made = accounts().make("groups", {"name": name, "roles": held, "members": list(members)})
    echo(f"there is a group {made['name']}")


@groups.command()
@NAME
def delete(name: str) -> None:
    """Remove a group; its members lose its roles."""
    accounts().delete_group(name)
    echo(f"there is no group {name} any more")


@groups.command()
@role_arguments
def grant(name: str, role: str, mlapp_id: str) -> None:
    """Give the members of NAME a ROLE."""
    accounts().grant("groups", name, role, mlapp_id)
    echo(f"members of {name} are {role} on {mlapp_id}")


@groups.command()
@role_arguments
def revoke(name: str, role: str, mlapp_id: str) -> None:
    """Take a ROLE away from the members of NAME."""
    accounts().revoke("groups", name, role, mlapp_id)
    echo(f"members of {name} are {role} on {mlapp_id} no more")


@groups.command()
@NAME
@_ACCOUNT
def join(name: str, account: str) -> None:
    """Make ACCOUNT a member of NAME."""
    accounts().join(name, account)
    echo(f"{account} is in {name}")


@groups.command()
@NAME
@_ACCOUNT
def leave(name: str, account: str) -> None:
    """Make ACCOUNT a member of NAME no more."""
    accounts().leave(name, account)
    echo(f"{account} is in {name} no more")
