"""The command line: finds the sub-command's file in ``commands/`` and imports only that one."""

from __future__ import annotations

import ast
import errno
import importlib
import importlib.abc
import importlib.util
import os
import pkgutil
import sys

import click

from parallelm.connections import ConfigurationError
from parallelm.connections.settings import misspelt_variables
from parallelm.mcenter import commands
from parallelm.mcenter.terminal import echo_lines, visible
from parallelm.operations.errors import OperationError
from parallelm.schemas.errors import SchemaError


def command_names() -> list[str]:
    """Names of all sub-commands: each is a file of ``commands/``; ``dead-letters`` is in ``dead_letters.py``."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))


def short_help(name: str) -> str:
    """What a sub-command does, from the first line of its file: "``mcenter NAME``: what it does."."""
    specification = importlib.util.find_spec(_module(name))
    loader = specification.loader if specification else None
    if not isinstance(loader, importlib.abc.InspectLoader):
        return ""
    text = ast.get_docstring(ast.parse(loader.get_source(_module(name)) or "")) or ""
    return text.partition("\n")[0].partition(": ")[2].rstrip(".")


def _module(name: str) -> str:
    return f"{commands.__name__}.{name.replace('-', '_')}"


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CHECKS_VARIABLES = f"{__name__}.checks_variables"


class LazyGroup(click.Group):
    """A group that imports a sub-command's file when that sub-command runs, so that ``mcenter`` starts at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names of all sub-commands."""
        return command_names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Sub-command of a name, or None."""
        if cmd_name not in command_names():
            return None
        command: click.Command = getattr(
            importlib.import_module(_module(cmd_name)), cmd_name.replace("-", "_")
        )
        return command

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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the sub-commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help(name)) for name in command_names()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
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
