"""Errors of ClickHouse and of the warehouse in one line and an exit code, for commands."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings

_UNKNOWN_DATABASE = 81
_UNKNOWN_TABLE = 60
_READONLY = 164
_ACCESS_DENIED = 497


@contextmanager
def reported_in_one_line(settings: Settings) -> Iterator[None]:
    """Turn errors of the database inside the block into ``click.ClickException``: a line and exit code 1."""
    from clickhouse_driver import errors as driver_errors

    from parallelm.warehouse.errors import WarehouseError

    clickhouse = settings.clickhouse
    try:
        yield
    except WarehouseError as error:
        raise click.ClickException(str(error)) from error
    except driver_errors.ServerException as error:
        hint = ""
        if error.code in {_UNKNOWN_DATABASE, _UNKNOWN_TABLE}:
            hint = " (run `mcenter warehouse migrate`?)"
        if error.code in {_READONLY, _ACCESS_DENIED}:
            raise click.ClickException(_may_not(settings, error)) from error
        raise click.ClickException(f"ClickHouse: {server_message(error)}{hint}") from error
    except driver_errors.UnknownTypeError as error:
        raise click.ClickException(
            f"a column cannot be read here: {server_message(error)}; give it as text with toString(…)"
        ) from error
    except (driver_errors.Error, OSError, EOFError) as error:
        raise click.ClickException(
            f"ClickHouse does not answer at {clickhouse.host}:{clickhouse.port}: {error}; "
            "start the local stack with `mcenter up`, or set MCENTER_CLICKHOUSE_HOST and MCENTER_CLICKHOUSE_PORT"
        ) from error


def _may_not(settings: Settings, error: Exception) -> str:
    """What to do about a statement that this user is not allowed to run."""
    clickhouse, message = settings.clickhouse, server_message(error)
    if "may only read" in message:  # the local engine says what to do
        return f"ClickHouse: {message}"
    if clickhouse.read_only:
        remedy = 'Access is read-only here; to change the warehouse, use `mcenter query --write "…"`'
    else:
        remedy = (
            f"User {clickhouse.user} is not allowed to do this; name one that is under [clickhouse] in mcenter.admin.toml, "
            "beside mcenter.toml, or in MCENTER_CLICKHOUSE_USER and MCENTER_CLICKHOUSE_PASSWORD"
        )
    return f"ClickHouse: {message}. {remedy}"


def server_message(error: Exception) -> str:
    """What the server said, without its stack trace."""
    text = str(error).partition("Stack trace:")[0].strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    whole = " ".join(lines[1:] if len(lines) > 1 and lines[0].startswith("Code:") else lines)
    return whole.removesuffix(".").strip()
