"""The artifact store: model files under one fsspec URL, each written once."""

from parallelm.connections.artifacts.store import (
    artifact_url,
    artifacts_url,
    cause_to_show,
    filesystem,
    local_path,
    present_url,
    public_artifact_options,
    public_artifacts_url,
    store_error,
)

__all__ = [
    "artifact_url",
    "artifacts_url",
    "cause_to_show",
    "filesystem",
    "local_path",
    "present_url",
    "public_artifact_options",
    "public_artifacts_url",
    "store_error",
]
