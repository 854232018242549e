"""``mcenter users``: accounts of people and programs, and their roles."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.mcenter.account_options import NAME, ON_MLAPP, ROLE, accounts, role_arguments, server_in_person
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo
from parallelm.operations.acting.accounts import Accounts, in_words

_COLUMNS = ["name", "kind", "full_name", "roles", "groups", "state", "last_sign_in_at"]


@click.group()
def users() -> None:
    """Accounts of people and programs, and their roles: for administrators, through a server.

    Roles on MLApps are viewer, data_scientist, approver, operator and admin; `mcenter groups` gives them to several at once.
    """


@users.command(name="list")
@result_options
def list_(format_: str, output: Path | None) -> None:
    """List accounts by name, with their roles and groups."""
    import pandas as pd

    rows = [
        each
        | {
            "roles": in_words(each["roles"]),
            "groups": ", ".join(each["groups"]),
            "state": "disabled" if each["is_disabled"] else "locked" if each["locked_until"] else "",
        }
        for each in accounts().all_of("users")
    ]
    write_result(pd.DataFrame(rows, columns=_COLUMNS), format_, output)


@users.command()
@NAME
def show(name: str) -> None:
    """Show one account."""
    found = accounts().get("users", name)
    found |= {"roles": in_words(found["roles"]), "groups": ", ".join(found["groups"])}
    for key, value in found.items():
        if value not in (None, ""):
            echo(f"{key:26} {value}")


@users.command()
@NAME
@click.option("--service", is_flag=True, help="A program's: it has tokens and no password.")
@click.option("--full-name", default="", help="As pages show it.")
@click.option("--role", "roles", type=ROLE, multiple=True, help="A role that it has; repeatable.")
@ON_MLAPP
@click.option("--group", "groups", multiple=True, help="A group that it is in; repeatable.")
def add(
    name: str,
    full_name: str,
    roles: tuple[str, ...],
    mlapp_id: str,
    groups: tuple[str, ...],
    *,
    service: bool,
) -> None:
    """Make an account.

    `mcenter users link` prints the link by which a person chooses a password; who signs in by an identity provider needs none.
    """
    wanted = {
        "name": name,
        "kind": "service" if service else "person",
        "full_name": full_name,
        "roles": [{"role": role, "mlapp_id": mlapp_id} for role in roles],
        "groups": list(groups),
    }
    made = accounts().make("users", wanted)["name"]
    follows = (
        f"`mcenter tokens create NAME --account {made}` makes a token"
        if service
        else f"`mcenter users link {made}` prints a link by which to choose a password"
    )
    echo(f"{made} has an account; {follows}")


@users.command()
@NAME
def link(name: str) -> None:
    """Print a link by which NAME chooses a password, once; an earlier one ends, and the account is unlocked.

    Asks for your password, since no token may let somebody in.
    """
    with server_in_person() as server:
        url, hours = Accounts(server).password_link(name)
    echo(f"give this link to {name} and nobody else; it works once, within {hours} h:", err=True)
    echo(url)


@users.command()
@NAME
@click.argument("full_name", metavar="FULL_NAME")
def rename(name: str, full_name: str) -> None:
    """Change the full name that pages show."""
    accounts().change("users", name, full_name=full_name)
    echo(f"{name} is {full_name!r}")


@users.command()
@role_arguments
def grant(name: str, role: str, mlapp_id: str) -> None:
    """Give NAME a ROLE."""
    accounts().grant("users", name, role, mlapp_id)
    echo(f"{name} is {role} on {mlapp_id}")


@users.command()
@role_arguments
def revoke(name: str, role: str, mlapp_id: str) -> None:
    """Take a ROLE away from NAME; those of its groups stay."""
    accounts().revoke("users", name, role, mlapp_id)
    echo(f"{name} is {role} on {mlapp_id} no more")


@users.command()
@NAME
def disable(name: str) -> None:
    """Let NAME in no more: its sessions end, its tokens are of no use."""
    accounts().change("users", name, is_disabled=True)
    echo(f"{name} is disabled and signed out")


@users.command()
@NAME
def enable(name: str) -> None:
    """Let NAME in again; sessions that have ended stay so."""
    accounts().change("users", name, is_disabled=False)
    echo(f"{name} is enabled")


@users.command()
@NAME
def unlock(name: str) -> None:
    """Forget failed attempts of NAME to sign in."""
    accounts().unlock(name)
    echo(f"{name} may try again")


@users.command()
@NAME
def sign_out(name: str) -> None:
    """Sign NAME out everywhere; tokens stay."""
    accounts().sign_out(name)
    echo(f"{name} is signed out everywhere")
