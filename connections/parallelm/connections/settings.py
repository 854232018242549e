"""Typed settings of everything outside: environment ``MCENTER_…`` over ``mcenter.toml`` over defaults.

Plain dataclasses, so that ``import parallelm.mlops`` stays inside the standard library. A field ``bootstrap_servers``
of section ``kafka`` is ``MCENTER_KAFKA_BOOTSTRAP_SERVERS`` in the environment and ``[kafka] bootstrap_servers`` in the
file. ``search`` says which file that is. A secret may be in a file of its own, which ``…_file`` names: ``secret_files``.

Reading is the default: ``load_settings()`` gives the settings of a person, a notebook, a component, with which nothing in
ClickHouse can be changed, whoever the user is. ``load_settings(role="admin")`` is for what writes: it lays
``mcenter.admin.toml``, where there is one beside the file, over it. ``mcenter.login.toml`` is laid over for everybody.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from parallelm.connections import search, secret_files, variables
from parallelm.connections.errors import ConfigurationError
from parallelm.connections.search import FILE_NAME, LOCAL_STACK_FOLDER, settings_file
from parallelm.connections.secrets import mask_text
from parallelm.connections.sections import (
    AgentSettings,
    ArtifactSettings,
    CapturesSettings,
    ClickHouseSettings,
    ComponentSettings,
    KafkaSettings,
    KubernetesSettings,
    LogSettings,
    RegistrySettings,
    RetentionSettings,
    ServerSettings,
    Settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "ENVIRONMENT_PREFIX",
    "FILE_NAME",
    "LOCAL_STACK_FOLDER",
    "AgentSettings",
    "ArtifactSettings",
    "CapturesSettings",
    "ClickHouseSettings",
    "ComponentSettings",
    "ConfigurationError",
    "KafkaSettings",
    "KubernetesSettings",
    "LogSettings",
    "RegistrySettings",
    "RetentionSettings",
    "Role",
    "ServerSettings",
    "Settings",
    "load_settings",
    "misspelt_variables",
    "save_settings",
    "setting_names",
    "settings_file",
    "warn_of_misspelt_variables",
]

ENVIRONMENT_PREFIX = variables.PREFIX
Role = Literal["reader", "admin"]
_CHOICES = {
    "security_protocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "level": ("DEBUG", "INFO", "WARNING", "ERROR"),
    "format": ("auto", "json", "text"),
}
_LEAST = {
    "flush_interval_ms": 1,
    "queue_max_samples": 1,
    "queue_max_kbytes": 1,
    "spool_max_mbytes": 1,
    "store_max_mbytes": 1,
}
"""Numbers that must not be 0. None may be negative: each is a time, a size or a port."""


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    file: Path | None = None,
    role: Role = "reader",
    unknown_variables: Literal["refuse", "warn"] = "refuse",
) -> Settings:
    """Read the settings; raises ``ConfigurationError`` for unknown names, wrong types and files that do not parse.

    ``environ`` defaults to the process's, ``folder`` to the working directory; ``file`` skips the search for one. With
    ``role="admin"`` clients may write, as the user of ``mcenter.admin.toml`` where there is that file; every other client
    reads. ``unknown_variables="warn"`` is for components: a misspelt ``MCENTER_…`` must not end their host program.
    """
    environ = os.environ if environ is None else environ
    if unknown_variables == "warn":
        warn_of_misspelt_variables(environ)
    elif mistakes := misspelt_variables(environ):
        raise ConfigurationError("; ".join(mistakes))
    layers = [(path, _read_sections(path)) for path in _files(environ, folder, file, role)]
    sections = {
        name: _section(kind, name, layers, environ) for name, kind in get_type_hints(Settings).items()
    }
    clickhouse = dataclasses.replace(sections["clickhouse"], read_only=role != "admin")
    return Settings(**sections | {"clickhouse": clickhouse})


def misspelt_variables(environ: Mapping[str, str]) -> list[str]:
    """A sentence on each variable of ``environ`` that looks like one of ours and is not."""
    names = (
        f"{ENVIRONMENT_PREFIX}{section}_{key}".upper()
        for section, kind in get_type_hints(Settings).items()
        for key in (*setting_names(kind), *secret_files.names(kind))
    )
    return variables.misspelt(environ, names)


def warn_of_misspelt_variables(environ: Mapping[str, str]) -> None:
    """Log each misspelt variable as a warning, once in a process."""
    variables.warn_once(misspelt_variables(environ))


def setting_names(section: Any) -> list[str]:
    """Names of a section's settings."""
    return [entry.name for entry in dataclasses.fields(section) if entry.metadata.get("is_setting", True)]


def _files(environ: Mapping[str, str], folder: Path | None, file: Path | None, role: Role) -> Iterator[Path]:
    """The files to read; a later one overrides an earlier one."""
    path = file or settings_file(environ, folder)
    if path is None:
        return
    yield path
    beside = [search.login_file(path), *([search.admin_file(path)] if role == "admin" else [])]
    for each in filter(Path.is_file, beside):
        if file is None and not environ.get("MCENTER_CONFIG"):
            search.check_owner(each, environ, f"name {path} in MCENTER_CONFIG")
        yield each


def save_settings(settings: Settings, path: Path) -> None:
    """Write ``settings`` as ``mcenter.toml``, readable by its owner only since it may hold passwords."""
    lines: list[str] = []
    for name in _section_names():
        section = getattr(settings, name)
        changed = {
            entry.name: getattr(section, entry.name)
            for entry in dataclasses.fields(section)
            if entry.name in setting_names(section) and getattr(section, entry.name) != entry.default
        }
        if changed:
            lines += [f"[{name}]", *(f"{key} = {_toml_value(value)}" for key, value in changed.items()), ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)  # one that was left behind may be readable by others
    temporary.touch(mode=0o600, exist_ok=False)
    temporary.write_text("\n".join(lines), encoding="utf-8")
    temporary.replace(path)


def _section_names() -> list[str]:
    return [section.name for section in dataclasses.fields(Settings)]


def _read_sections(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    sections = get_type_hints(Settings).items()
    known = {name: [*setting_names(kind), *secret_files.names(kind)] for name, kind in sections}
    for name, section in table.items():
        if name not in known:
            raise ConfigurationError(
                f"{path}: unknown section [{name}]{variables.did_you_mean(name, known)}; there are: {', '.join(known)}"
            )
        if not isinstance(section, dict):
            raise ConfigurationError(f"{path}: {name} must be a section, [{name}]")
        for key in section:
            if key not in known[name]:
                raise ConfigurationError(
                    f"{path}: [{name}] has no setting {key!r}{variables.did_you_mean(key, known[name])}; "
                    f"there are: {', '.join(known[name])}"
                )
    return table


def _section(
    kind: type, name: str, layers: Sequence[tuple[Path, dict[str, Any]]], environ: Mapping[str, str]
) -> Any:
    secrets = {entry.name for entry in dataclasses.fields(kind) if not entry.repr}
    prefix = f"{ENVIRONMENT_PREFIX}{name.upper()}_"
    environ = secret_files.with_contents(environ, prefix, secrets)
    layers = [
        (path, {name: secret_files.of_section(table.get(name, {}), secrets, path)}) for path, table in layers
    ]
    values: dict[str, Any] = {}
    types = get_type_hints(kind)
    for key in setting_names(kind):
        variable = f"{prefix}{key.upper()}"
        if variable in environ and not variables.is_set_by_kubernetes(variable, environ[variable]):
            values[key] = _parse(environ[variable], types[key], variable)
            _check_range(key, values[key], variable)
            continue
        for path, table in layers:
            if key in table.get(name, {}):
                source = f"{path}: [{name}] {key}"
                values[key] = _checked(table[name][key], types[key], source, is_secret=key in secrets)
                _check_range(key, values[key], source)
    return kind(**values)


def _check_range(key: str, value: Any, source: str) -> None:
    if key in _CHOICES and value not in _CHOICES[key]:
        raise ConfigurationError(f"{source} is {value!r}; it must be one of {', '.join(_CHOICES[key])}")
    if key in {"bootstrap_servers", "host"} and ("@" in value or "://" in value):
        raise ConfigurationError(
            f"{source} must be {'host:port, or several with commas' if key != 'host' else 'a host'}, not a URL; user "
            "and password have settings of their own"
        )
    if key == "predictions_share" and not 0.0 <= value <= 1.0:
        raise ConfigurationError(f"{source} is {value!r}; it must be from 0 to 1")
    least = _LEAST.get(key, 0)
    if type(value) in {int, float} and not (least <= value and math.isfinite(value)):
        raise ConfigurationError(f"{source} is {value!r}; it must be a finite number, at least {least}")


def _parse(text: str, wanted: type, source: str) -> Any:
    if wanted is str:
        return text
    if wanted is bool:
        known = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if text.lower() in known:
            return known[text.lower()]
        raise ConfigurationError(f"{source} is {text!r}; it must be true or false")
    try:
        return wanted(text)
    except ValueError:
        raise ConfigurationError(f"{source} is {text!r}; it must be a number ({wanted.__name__})") from None


def _checked(value: Any, wanted: type, source: str, *, is_secret: bool) -> Any:
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        given = f"of type {type(value).__name__}" if is_secret else mask_text(repr(value))
        raise ConfigurationError(f"{source} is {given}; it must be of type {wanted.__name__}")
    return value


def _toml_value(value: Any) -> str:
    if isinstance(value, str):
        # TOML's basic strings take JSON's escapes, but not a bare DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value) if isinstance(value, float) else json.dumps(value)
