"""Groups of commands whose files are in one folder: only the file of the command that runs is imported."""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.util
import pkgutil
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from types import ModuleType


class FolderGroup(click.Group):
    """Each file of ``folder`` is a command: ``dead-letters`` is ``dead_letters`` in ``dead_letters.py``.

    A name that Python or the file itself needs ends with an underscore in the file: ``list`` is ``list_`` in ``list.py``.
    Files whose names begin with an underscore are no commands. ``default`` is the command that runs when none is named.
    Commands about many of a kind are named in the plural; who types ``model`` means ``models``.
    """

    def __init__(self, *args: Any, folder: ModuleType, default: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._folder = folder
        self._default = default

    def names(self) -> list[str]:
        """Names of all commands."""
        files = (module.name for module in pkgutil.iter_modules(self._folder.__path__))
        return sorted(name.replace("_", "-") for name in files if not name.startswith("_"))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names of all commands, for click."""
        return self.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Command of a name, or None."""
        if cmd_name not in self.names():
            return None
        module = importlib.import_module(self._module(cmd_name))
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, name if hasattr(module, name) else f"{name}_")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; a name that differs from a command in its plural alone is that command."""
        names, typed = self.names(), args[0]
        likely = (typed, f"{typed}s", typed.removesuffix("s"))
        return super().resolve_command(ctx, [next((n for n in likely if n in names), typed), *args[1:]])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Name the default command where the first argument is an option that is not the group's own."""
        own = {option for each in self.get_params(ctx) for option in each.opts}
        if self._default and (not args or (args[0].startswith("-") and args[0] not in own)):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.short_help_of(name)) for name in self.names()])

    def short_help_of(self, name: str) -> str:
        """What a command does, from the first line of its file: "``mcenter NAME``: what it does."."""
        specification = importlib.util.find_spec(self._module(name))
        loader = specification.loader if specification else None
        if not isinstance(loader, importlib.abc.InspectLoader):
            return ""
        text = ast.get_docstring(ast.parse(loader.get_source(self._module(name)) or "")) or ""
        return text.partition("\n")[0].partition(": ")[2].rstrip(".")

    def _module(self, name: str) -> str:
        return f"{self._folder.__name__}.{name.replace('-', '_')}"
