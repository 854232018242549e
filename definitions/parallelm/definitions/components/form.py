"""The keys of ``component.yaml``: a program, what it is called with, and what it reads and writes."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from parallelm.definitions.components.program import ArgumentSpec, ProgramSpec, Tag
from parallelm.definitions.form import FileName, Form, Identifier, Name
from parallelm.definitions.running import Argument, Command, VariableName
from parallelm.definitions.values import ValueType

DEFAULT_EXCLUDE = (
    "**/__pycache__",
    "**/*.pyc",
    "**/.git",
    "**/.venv",
    "**/.pytest_cache",
    "**/.ipynb_checkpoints",
)


class ArgumentForm(Form):
    """An argument: its value is the pipeline's, else what the agent gives, else the variable's, else the default."""

    type: ValueType = "text"
    label: str = ""
    description: str = ""
    default: Argument = None
    variable: VariableName | None = None
    """Of the host or of the node's ``environment`` and ``secrets``."""
    optional: bool = False
    """Left out when nothing gives it a value."""
    tag: Tag | None = None
    input: Name | None = None
    """Its value is the path of this input."""
    output: Name | None = None
    """Its value is the path to which this output is to be written."""


class PortForm(Form):
    """An input or output: a file or folder."""

    type: str = ""
    """For people, and for whoever checks that an output fits an input."""
    description: str = ""


class PythonForm(Form):
    """A Python environment of its own, made by uv."""

    lock: Name
    """``uv.lock`` with its ``pyproject.toml``, ``pylock.toml``, or a ``requirements.txt`` with exact versions."""
    version: str | None = None
    """Such as ``3.12``; default: that of the agent."""


def _check_interpreter(value: list[str] | str | None) -> list[str] | str | None:
    if isinstance(value, str):
        try:
            shlex.split(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is no program with arguments: {error}") from error
    return value


class ComponentForm(Form):
    """The file."""

    name: Identifier
    label: str = ""
    description: str = ""
    version: str = ""
    """For people; what is run is told by the folder's SHA-256."""
    program: Name
    """Path in the folder; a ``.py`` file is run by Python, any other must be executable or have an interpreter."""
    interpreter: Annotated[Command | None, AfterValidator(_check_interpreter)] = None
    """Program on the host that runs it, such as ``Rscript``."""
    arguments: dict[Identifier, ArgumentForm] = Field(default_factory=dict)
    inputs: dict[FileName, PortForm] = Field(default_factory=dict)
    outputs: dict[FileName, PortForm] = Field(default_factory=dict)
    python: PythonForm | None = None
    """None: the agent's own Python."""
    include: Annotated[list[Name], Field(min_length=1)] = Field(default_factory=lambda: ["**"])
    """Globs of what is packed; one of a folder takes all in it."""
    exclude: list[Name] = Field(default_factory=lambda: list(DEFAULT_EXCLUDE))

    def spec(self) -> ProgramSpec:
        """What agents need of it."""
        of_arguments = {field.name for field in fields(ArgumentSpec)}
        told: dict[str, Any] = self.model_dump(
            include={
                **{field.name: True for field in fields(ProgramSpec)},
                "arguments": {"__all__": of_arguments},
            }
        )
        return ProgramSpec.of(told | {"outputs": list(self.outputs)})
