"""What is wrong in an MLApp file, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake; ``line`` and ``column`` count from 1."""

    line: int
    column: int
    message: str


class DefinitionError(Exception):
    """An MLApp file is not valid; ``problems`` holds every mistake found, in the file's order."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = sorted(problems)
        super().__init__(
            "\n".join(f"{source}:{found.line}:{found.column}: {found.message}" for found in self.problems)
        )


class FencedError(Exception):
    """Somebody else has begun to write a definition."""


class ComponentFolderError(Exception):
    """A component's folder cannot be read or packed."""


class ArgumentsError(Exception):
    """A component cannot be started with the arguments that there are; the message holds every reason."""


class SpecificationError(ValueError):
    """What the control plane says to an agent cannot be read; the message says where."""
