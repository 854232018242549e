"""A model on its way from the outbox to the artifact store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class PublishedModel(NamedTuple):
    """What ``publish_model`` leaves behind: the file and all that its announcement will say."""

    path: Path
    """The copy in the outbox: a file, for directories a tar.gz."""
    model_id: str
    name: str
    format: str
    description: str
    file_name: str
    is_directory: bool
    size_bytes: int
    sha256: str
    annotations: Mapping[str, str]
    owner: str
    train_version: str
    model_version: str
    time_ns: int
