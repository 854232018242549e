"""Entry point of ``mcenter``: finds the sub-command's file and imports only that one."""

from __future__ import annotations

import importlib
import sys

import click

from parallelm.connections import ConfigurationError
from parallelm.schemas.errors import SchemaError

COMMANDS: dict[str, str] = {
    "up": "start the local stack",
    "down": "stop the local stack",
    "status": "show the processes, their health, lag and dead letters",
    "doctor": "check what this machine and the configured cluster need",
    "demo": "replay a year of flights through the platform",
    "mlapp": "apply, list, show and validate MLApp definitions",
    "models": "list models",
    "deployments": "list deployments, with the reason of each decision",
    "alerts": "list alerts",
    "kpi": "upload and list business KPIs",
    "correlate": "find the statistics that move with a KPI",
    "query": "run SQL on the warehouse",
    "tail": "print records of a topic, decoded",
    "dead-letters": "list records that could not be handled, and send them again",
    "topics": "create, list and check the topics",
    "schemas": "list, check, register and serve the schemas",
    "warehouse": "migrate the warehouse, and show what is applied",
    "sink": "run the sink: Kafka to ClickHouse",
    "processors": "run the stream processors",
}
"""Sub-command to one-line help; ``dead-letters`` lives in ``commands/dead_letters.py`` as ``dead_letters``."""


class LazyGroup(click.Group):
    """A group that imports a sub-command's file when that sub-command runs, so that ``mcenter`` starts at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names of all sub-commands, in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Sub-command of a name, or None."""
        if cmd_name not in COMMANDS:
            return None
        attribute = cmd_name.replace("-", "_")
        module = importlib.import_module(f"parallelm.mcenter.commands.{attribute}")
        command: click.Command = getattr(module, attribute)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the sub-command; errors that tell the user what to do are shown without a traceback."""
        try:
            return super().invoke(ctx)
        except SchemaError as error:
            raise click.ClickException(str(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the sub-commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mcenter-stream")
def cli() -> None:
    """MCenter Stream tells what machine learning does in production."""


def main() -> None:
    """Run the command line; configuration errors end it with their message, without a traceback."""
    try:
        cli(prog_name="mcenter")
    except ConfigurationError as error:
        click.echo(f"mcenter: {error}", err=True)
        sys.exit(2)
