"""Models from the artifact store to a path of the caller's choice: checked, and all at once or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.mlops.models.model import Artifact, Model


def fetch(model: Model, artifact: Artifact, filepath: Path, settings: Any) -> None:
    """Bytes of ``artifact`` at ``filepath``, all of them and the right ones, or nothing."""
    import shutil
    import uuid

    from parallelm.connections.artifacts import filesystem
    from parallelm.connections.settings import ArtifactSettings
    from parallelm.mlops._models.outbox import measure
    from parallelm.mlops.packer import DirectoryPack

    partial = filepath.with_name(f".{filepath.name}.{uuid.uuid4().hex[:8]}.part")
    unpacked = partial.with_suffix(".unpacked")
    try:
        filepath.parent.mkdir(parents=True, exist_ok=True)
        try:
            store, path = filesystem(settings.artifacts if settings else ArtifactSettings(), artifact.url)
            store.get_file(path, str(partial))
        except Exception as error:
            raise MLOpsConnectionException(
                f"model {model.get_id()!r} cannot be had from {artifact.url!r}: {error}"
            ) from error
        size_bytes, sha256 = measure(partial)
        if (size_bytes, sha256) != (artifact.size_bytes, artifact.sha256):
            raise MLOpsException(
                f"{artifact.url!r} holds {size_bytes} bytes with SHA-256 {sha256}, not the {artifact.size_bytes} bytes "
                f"with {artifact.sha256} that were published: it is not used"
            )
        if artifact.is_directory:
            DirectoryPack().unpack(partial, unpacked)
            if filepath.is_dir():
                shutil.rmtree(filepath)
            unpacked.replace(filepath)
        else:
            partial.replace(filepath)
    except OSError as error:
        raise MLOpsException(
            f"model {model.get_id()!r} cannot be written to {str(filepath)!r}: {error}"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
        shutil.rmtree(unpacked, ignore_errors=True)
