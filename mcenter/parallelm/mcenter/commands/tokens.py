"""``mcenter tokens``: tokens by which programs use a server."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.account_options import server_in_person
from parallelm.mcenter.not_empty import not_empty
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo
from parallelm.operations.acting.accounts import Tokens, server_of
from parallelm.server.access.matrix import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_COLUMNS = [
    "token_id",
    "name",
    "hint",
    "scopes",
    "is_valid",
    "created_at",
    "expires_at",
    "used_at",
    "revoked_at",
]
_LONGEST_DAYS, _USUAL_DAYS = 366, 90


def _whose(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--account",
        callback=not_empty,
        help="Of this account, for administrators.  [default: your own, for which your password is asked]",
    )(command)


@contextmanager
def _tokens(account: str | None, *, in_person: bool = False) -> Iterator[Tokens]:
    """One's own, and whatever makes one, need a session: a stolen token must not make itself others."""
    if account is None or in_person:
        with server_in_person() as server:
            yield Tokens(server, account)
    else:
        yield Tokens(server_of(load_settings()), account)


@click.group()
def tokens() -> None:
    """Tokens by which programs use a server: your own, and for administrators those of service accounts.

    Whoever signs in by an identity provider, and so has no password here, makes tokens on page Profile.
    """


@tokens.command(name="list")
@_whose
@result_options
def list_(account: str | None, format_: str, output: Path | None) -> None:
    """List tokens, the newest first, without their secrets."""
    import pandas as pd

    with _tokens(account) as known:
        found = known.all()
    rows = [
        each | {"scopes": "all" if each["scopes"] is None else " ".join(each["scopes"])} for each in found
    ]
    write_result(pd.DataFrame(rows, columns=_COLUMNS), format_, output)


@tokens.command()
@click.argument("name", callback=not_empty)
@_whose
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(list(ACTIONS)),
    multiple=True,
    help="An action that it is limited to; repeatable.  [default: all that its account may do]",
)
@click.option(
    "--days",
    type=click.IntRange(1, _LONGEST_DAYS),
    default=_USUAL_DAYS,
    show_default=True,
    help="How long it is valid.",
)
def create(name: str, account: str | None, scopes: tuple[str, ...], days: int) -> None:
    """Make a token; NAME says what uses it. Its secret is printed this once.

    Of others, an administrator makes tokens of service accounts only: nobody acts in somebody else's name. Asks for your
    password, since no token may make another.
    """
    with _tokens(account, in_person=True) as known:
        secret = known.create(name, list(scopes) or None, days)
    echo(f"token {name!r} is valid for {days} d; it is shown this once:", err=True)
    echo(secret)


@tokens.command()
@click.argument("token_id", metavar="TOKEN_ID", type=click.IntRange(min=1))
@_whose
def revoke(token_id: int, account: str | None) -> None:
    """Let a token be of no more use."""
    with _tokens(account) as known:
        known.revoke(token_id)
    echo(f"token {token_id} is revoked")
