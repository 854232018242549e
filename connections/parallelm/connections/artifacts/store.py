"""The artifact store: model files under one fsspec URL."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from parallelm.connections.secrets import credentials_of, is_secret_name, redacted, without_credentials
from parallelm.connections.settings import LOCAL_STACK_FOLDER, ConfigurationError

if TYPE_CHECKING:
    from parallelm.connections.settings import ArtifactSettings

_LOCAL_SCHEMES = ("file:", "local:")
_PUBLIC_OPTIONS = frozenset(
    {
        *(
            "endpoint_url",
            "client_kwargs",
            "region_name",
            "use_ssl",
            "anon",
            "requester_pays",
            "addressing_style",
        ),
        *("config_kwargs", "s3", "signature_version", "project", "account_name", "host", "port", "protocol"),
    }
)
"""Options of file systems of fsspec that say where a store is and how it speaks, not who asks."""
_SHORTEST_SECRET = 3
"""Shorter ones are not looked for in messages: they occur in half of all words."""


def artifacts_url(artifacts: ArtifactSettings) -> str:
    """URL of the store; without a configured one the local stack's folder below the working directory.

    It may hold a password: ``public_artifacts_url`` is the one to show, store or send.
    """
    url = artifacts.url
    if not url:
        return (Path.cwd() / LOCAL_STACK_FOLDER / "artifacts").as_uri()
    if "://" in url or "::" in url or url.startswith(_LOCAL_SCHEMES):
        return url
    return Path(url).expanduser().absolute().as_uri()


def public_artifacts_url(artifacts: ArtifactSettings) -> str:
    """URL of the store without user and password. ``filesystem`` adds them to URLs below it again."""
    return without_credentials(artifacts_url(artifacts))


def public_artifact_options(artifacts: ArtifactSettings) -> str:
    """Options of the store that say where it is and nothing of who asks, as a JSON object; empty: none."""

    def public(options: dict[str, Any]) -> dict[str, Any]:
        found = {
            name: public(value) if isinstance(value, dict) else value
            for name, value in options.items()
            if name in _PUBLIC_OPTIONS
        }
        return {name: value for name, value in found.items() if value not in ({}, "")}

    found = public(_options(artifacts))
    return json.dumps(found) if found else ""


def artifact_url(artifacts: ArtifactSettings, mlapp_id: str, model_id: str, file_name: str) -> str:
    """Where the file of a model of an MLApp lies in the store, without user and password."""
    root = public_artifacts_url(artifacts).rstrip("/")
    return "/".join((root, *map(_path_part, (mlapp_id, model_id, file_name))))


def present_url(artifacts: ArtifactSettings, url: str) -> str:
    """Where the file is now that was announced as ``url``: the store may have been moved, or restored elsewhere."""
    for former in artifacts.moved_from.split(","):
        root = without_credentials(former.strip()).rstrip("/")
        if root and url.startswith(f"{root}/"):
            return public_artifacts_url(artifacts).rstrip("/") + url[len(root) :]
    return url


def filesystem(artifacts: ArtifactSettings, url: str | None = None) -> tuple[Any, str]:
    """``(fsspec file system, path)`` of ``url`` (see ``present_url``), or of the store's root.

    Raises ``ConfigurationError``.
    """
    import fsspec

    options = _options(artifacts)
    root, public_root = artifacts_url(artifacts), public_artifacts_url(artifacts)
    wanted = present_url(artifacts, url) if url else root
    if wanted.startswith(public_root):
        wanted = root + wanted[len(public_root) :]
    try:
        if wanted.startswith(_LOCAL_SCHEMES):
            return fsspec.filesystem("file", **options), local_path(wanted)
        found: tuple[Any, str] = fsspec.core.url_to_fs(wanted, **options)
    except (ImportError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"artifact store {without_credentials(wanted)!r} cannot be opened: "
            f"{store_error(artifacts, error)}"
        ) from cause_to_show(artifacts, error)
    return found


def local_path(url: str) -> str:
    """Path of a ``file:`` URL (RFC 8089), decoded: fsspec itself would treat ``%20`` as three characters of the name."""
    rest = url.partition(":")[2]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        rest = slash + path
        if host not in {"", "localhost"}:
            raise ConfigurationError(
                f"{without_credentials(url)!r} names the host {host.rpartition('@')[2]!r}; write file:///{path}"
            )
    if os.name == "nt":
        from urllib.request import url2pathname

        return url2pathname(rest)
    return os.path.abspath(unquote(rest, errors="surrogateescape"))  # noqa: PTH100 - fsspec takes texts


def store_error(artifacts: ArtifactSettings, error: object) -> str:
    """What a store raised, without the secrets that it was given."""
    return redacted(error, *_secrets_of(artifacts))


def cause_to_show(artifacts: ArtifactSettings, error: Exception) -> Exception | None:
    """``error`` as the cause of another, unless a traceback would then show secrets."""
    return error if store_error(artifacts, error) == str(error) else None


def _options(artifacts: ArtifactSettings) -> dict[str, Any]:
    if not artifacts.options_json:
        return {}
    try:
        options = json.loads(artifacts.options_json)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"MCENTER_ARTIFACTS_OPTIONS_JSON is not a JSON object: {error}") from None
    if not isinstance(options, dict):
        raise ConfigurationError(
            f"MCENTER_ARTIFACTS_OPTIONS_JSON is not a JSON object but a {type(options).__name__}"
        )
    return options


def _secrets_of(artifacts: ArtifactSettings) -> list[str]:
    """The URL's password, encoded and decoded, and the options' secret texts."""
    authority = artifacts.url.partition("://")[2]
    found = [credentials_of(artifacts.url)[1], authority.rpartition("@")[0].partition(":")[2]]
    try:
        _collect(_options(artifacts), "", found)
    except ConfigurationError:
        found.append(artifacts.options_json)
    return [secret for secret in found if len(secret) >= _SHORTEST_SECRET]


def _collect(value: Any, name: str, found: list[str]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _collect(item, key if not is_secret_name(name) else name, found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, name, found)
    elif isinstance(value, str) and (name == "key" or is_secret_name(name)):
        found.append(value)


def _path_part(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip(".") or "_"
