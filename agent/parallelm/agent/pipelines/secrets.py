"""Secrets of a node, found on this host when a run begins: they are in no file, no record and no command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.agent.pipelines.errors import PreparationError
from parallelm.connections.secrets import MASK, is_secret_name, mask_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_BYTES = 64_000
"""What fits an environment variable."""
_SHORTEST = 4
"""Shorter values are words of any text, and are left."""


def resolved_secrets(references: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Value of each variable; ``environ`` is the agent's own. Raises ``PreparationError``, which never shows a value."""
    return {variable: _value(variable, reference, environ) for variable, reference in references.items()}


def masked(text: str, environ: Mapping[str, str], secrets: Mapping[str, str]) -> str:
    """What a program wrote, without ``secrets`` and the values of variables whose names say that they are secret.

    For what the agent itself hands on of a text, as in the reason of a failure.
    """
    values = {*secrets.values(), *(value for name, value in environ.items() if is_secret_name(name))}
    lines = {line.strip() for value in values for line in (value, *value.splitlines())}
    for line in sorted(lines, key=len, reverse=True):
        if len(line) >= _SHORTEST:
            text = text.replace(line, MASK)
    return mask_text(text)


def _value(variable: str, reference: str, environ: Mapping[str, str]) -> str:
    kind, _, place = reference.partition(":")
    if kind == "env":
        if place not in environ:
            raise PreparationError(
                f"secret {variable}: the agent's environment has no variable {place}; set it there"
            )
        return environ[place]
    if kind != "file":
        raise PreparationError(
            f"secret {variable}: {kind}:… is for nodes with runner: kubernetes; write file:PATH or env:NAME"
        )
    try:
        with Path(place).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PreparationError(f"secret {variable}: {place} cannot be read: {_cause(error)}") from None
    if len(content) > _MAX_BYTES or "\0" in text:
        raise PreparationError(f"secret {variable}: {place} is no text of at most {_MAX_BYTES} bytes")
    return text.removesuffix("\n").removesuffix("\r")


def _cause(error: OSError | UnicodeDecodeError) -> str:
    """Without the bytes that were read."""
    return str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8"
