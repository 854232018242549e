"""Secrets in files of their own, as Docker and Kubernetes mount them: ``sasl_password_file`` names one for ``sasl_password``.

In the environment that is ``MCENTER_KAFKA_SASL_PASSWORD_FILE``. The file is read when settings are loaded; a line end after
the secret does not belong to it. A path in ``mcenter.toml`` is relative to the folder of that file.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelm.connections.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SUFFIX = "_file"


def names(section: Any) -> list[str]:
    """Names of the settings of a section that name the file of a secret."""
    return [f"{entry.name}{SUFFIX}" for entry in dataclasses.fields(section) if not entry.repr]


def with_contents(environ: Mapping[str, str], prefix: str, secrets: Iterable[str]) -> Mapping[str, str]:
    """The environment with each secret that a variable names the file of. Raises ``ConfigurationError``."""
    found = dict(environ)
    for secret in secrets:
        variable = f"{prefix}{secret}".upper()
        name = f"{variable}{SUFFIX.upper()}"
        if path := environ.get(name):
            if variable in environ:
                raise ConfigurationError(f"{name} and {variable} are both set; remove one of them")
            found[variable] = _content(Path(path), name)
    return found


def of_section(section: Mapping[str, Any], secrets: Iterable[str], file: Path) -> dict[str, Any]:
    """A section of ``mcenter.toml`` with the secrets that it names the files of. Raises ``ConfigurationError``."""
    found = dict(section)
    for secret in secrets:
        key = f"{secret}{SUFFIX}"
        path = found.pop(key, "")
        if not isinstance(path, str):
            raise ConfigurationError(
                f"{file}: {key} must be the path of a file, not of type {type(path).__name__}"
            )
        if path and secret in found:
            raise ConfigurationError(f"{file}: {key} and {secret} are both set; remove one of them")
        if path:
            found[secret] = _content(file.parent / path, f"{file}: {key}")
    return found


def _content(path: Path, source: str) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{source} names {str(path)!r}, which cannot be read: {error}") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ConfigurationError(f"{source} names {str(path)!r}, which is empty")
    return text
