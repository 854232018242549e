"""Artifacts of published models in a folder, without a platform."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.mlops._models.outbox import measure
from parallelm.mlops.models.model import Artifact, ModelFormat
from parallelm.mlops.packer import pack_directory

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.mlops import MLOps
    from parallelm.mlops.models.model import Model


@dataclass
class ArtifactStore:
    """Artifacts in a folder, and models of them."""

    library: MLOps
    folder: Path

    def file(self, content: str | bytes) -> Model:
        """A published model that is a file."""
        path = self.folder / uuid.uuid4().hex
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self._model(path, ModelFormat.BINARY)

    def directory(self, **files: str) -> Model:
        """A published model that is a folder."""
        source = self.folder / f"{uuid.uuid4().hex}.source"
        for name, content in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        archive = source.with_suffix(".tar.gz")
        pack_directory(source, archive)
        return self._model(archive, ModelFormat.SAVEDMODEL)

    def of(self, *, is_directory: bool, content: str = "new") -> Model:
        return self.directory(weights=content) if is_directory else self.file(content)

    def _model(self, path: Path, model_format: ModelFormat) -> Model:
        artifact = Artifact(path.as_uri(), model_format.is_directory, *measure(path))
        model = self.library.Model("m", model_format)
        model.artifact = artifact
        return model
