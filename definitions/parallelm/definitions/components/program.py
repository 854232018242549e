"""What an agent needs of a ``component.yaml``: the program and what it is called with. Read without pydantic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from parallelm.definitions.specifications import Specification
from parallelm.definitions.values import ValueType  # noqa: TC001 - read at run time

Tag = Literal["model_dir", "input_model_path", "public_port"]
"""What an agent itself gives: a folder for models, the file of the model to use, a port that others can reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentSpec(Specification):
    """As ``ArgumentForm``."""

    type: ValueType = "text"
    default: str | int | float | bool | None = None
    variable: str | None = None
    optional: bool = False
    tag: Tag | None = None
    input: str | None = None
    output: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSpec(Specification):
    """As ``PythonForm``."""

    lock: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSpec(Specification):
    """What of ``ComponentForm`` is the agent's."""

    name: str
    program: str
    interpreter: list[str] | str | None = None
    arguments: dict[str, ArgumentSpec] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    """Their names."""
    python: PythonSpec | None = None
