"""The artifact store: model files under one fsspec URL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelm.connections.settings import LOCAL_STACK_FOLDER, ConfigurationError

if TYPE_CHECKING:
    from parallelm.connections.settings import ArtifactSettings


def artifacts_url(artifacts: ArtifactSettings) -> str:
    """URL of the store; without a configured one the local stack's folder below the working directory."""
    return artifacts.url or (Path.cwd() / LOCAL_STACK_FOLDER / "artifacts").as_uri()


def filesystem(artifacts: ArtifactSettings, url: str | None = None) -> tuple[Any, str]:
    """``(fsspec file system, path)`` of ``url``, or of the store's root; raises ``ConfigurationError``."""
    import fsspec

    try:
        options = json.loads(artifacts.options_json) if artifacts.options_json else {}
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"MCENTER_ARTIFACTS_OPTIONS_JSON is no JSON object: {error}") from error
    wanted = url or artifacts_url(artifacts)
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(wanted, **options)
    except (ImportError, ValueError, TypeError) as error:
        raise ConfigurationError(f"artifact store {wanted!r} cannot be opened: {error}") from error
    return found
