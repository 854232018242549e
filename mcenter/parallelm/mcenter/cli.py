"""The command line: finds the sub-command's file in ``commands/`` and imports only that one."""

from __future__ import annotations

import errno
import os
import sys

import click

from parallelm.connections import ConfigurationError
from parallelm.connections.settings import misspelt_variables
from parallelm.mcenter import commands
from parallelm.mcenter.command_folder import FolderGroup
from parallelm.mcenter.terminal import echo_lines, visible
from parallelm.operations.errors import OperationError
from parallelm.schemas.errors import SchemaError


def command_names() -> list[str]:
    """Names of all sub-commands: each is a file or a folder of ``commands/``."""
    return cli.names()


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CHECKS_VARIABLES = f"{__name__}.checks_variables"


class MainGroup(FolderGroup):
    """All commands: what they have in common is checked, and reported in one line, here."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether to check the environment: not for help, and not for the doctor, which reports it itself."""
        ctx.meta[_CHECKS_VARIABLES] = args[:1] != ["doctor"] and not {"-h", "--help"} & set(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the sub-command; errors that say what to do are shown without a traceback."""
        if ctx.meta[_CHECKS_VARIABLES] and (mistakes := misspelt_variables(os.environ)):
            raise ConfigurationError("; ".join(mistakes))
        try:
            return super().invoke(ctx)
        except (SchemaError, OperationError) as error:
            raise click.ClickException(visible(str(error), keep="\n")) from error
        except click.ClickException as error:
            # Messages quote what components, people and servers wrote.
            error.message = visible(error.message, keep="\n")
            raise


@click.group(cls=MainGroup, folder=commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mcenter-stream")
def cli() -> None:
    """MCenter Stream shows what machine learning does in production."""


def run() -> None:
    """Run the command line; wrong settings and a full disk end it with one line, without a traceback."""
    try:
        cli(prog_name="mcenter")
    except ConfigurationError as error:
        echo_lines(f"mcenter: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        place = f" {error.filename}" if error.filename else ""
        echo_lines(f"mcenter: cannot write{place}: {error.strerror}", err=True)
        # What is still buffered would fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
