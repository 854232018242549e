"""Downloads models and components from the artifact store to a path of the caller: checked and atomic."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from parallelm.mlops.models.model import Artifact

_OF_THIS_HOST = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""Errors of the file that is written; reading from a store does not raise them."""


def fetch(what: str, artifact: Artifact, filepath: str | os.PathLike[str], settings: Any) -> None:
    """Write the bytes of ``artifact`` to ``filepath``, complete and verified, or nothing.

    ``what`` names it in messages. Replaces only what an earlier download wrote there. Raises ``MLOpsConnectionException`` if the store does not deliver
    them, ``MLOpsException`` if they differ from those published or cannot be written.
    """
    from parallelm.mlops._models.former_downloads import fingerprint, fingerprint_of_file
    from parallelm.mlops._models.place import Place
    from parallelm.mlops.packer import DirectoryPack

    place = Place(filepath, is_folder=artifact.is_directory)
    try:
        place.check()
        with place.working_folder() as folder:
            file = folder / "artifact"
            _copy_from_store(what, artifact, file, settings)
            _check_content(artifact, file)
            check_signature(what, artifact, settings)
            if artifact.is_directory:
                unpacked = folder / "unpacked"
                DirectoryPack().unpack(file, unpacked)
                place.put(unpacked, fingerprint(unpacked))
            else:
                place.put(file, fingerprint_of_file(artifact.sha256))
    except OSError as error:
        raise MLOpsException(f"{what} cannot be written to {str(filepath)!r}: {error}") from error


def _copy_from_store(what: str, artifact: Artifact, file: Path, settings: Any) -> None:
    from parallelm.connections.artifacts import cause_to_show, filesystem, store_error
    from parallelm.connections.secrets import without_credentials
    from parallelm.connections.settings import ArtifactSettings

    artifacts = settings.artifacts if settings else ArtifactSettings()
    try:
        store, path = filesystem(artifacts, artifact.url)
        store.get_file(path, str(file))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THIS_HOST:
            raise
        raise MLOpsConnectionException(
            f"{what} cannot be fetched from {without_credentials(artifact.url)!r}: "
            f"{store_error(artifacts, error)}"
        ) from cause_to_show(artifacts, error)


def _check_content(artifact: Artifact, file: Path) -> None:
    from parallelm.mlops._models.outbox import measure

    size_bytes, sha256 = measure(file)
    if (size_bytes, sha256) != (artifact.size_bytes, artifact.sha256):
        raise MLOpsException(
            f"{artifact.url!r} holds {size_bytes} bytes with SHA-256 {sha256}, not the {artifact.size_bytes} bytes "
            f"with {artifact.sha256} that were published: it is not used"
        )


def check_signature(what: str, artifact: Artifact, settings: Any) -> None:
    """Raise ``MLOpsException`` for a model that is not signed as the host's settings and ``artifact.signing_keys`` demand.

    A signature that there is must fit, also when nobody demands one. What is no model has none.
    """
    row = artifact.announced
    if row is None:
        return
    trusted = settings.artifacts.trusted_keys if settings else ""
    signature = row.get("signature", "")
    if not (trusted or signature or artifact.signing_keys):
        return
    from parallelm.schemas.errors import SignatureError
    from parallelm.schemas.model_signatures import MISSING, parse_key_ids, require_signer, signer

    is_demanded = bool(trusted or artifact.signing_keys)
    try:
        if trusted:
            require_signer(row, signature, parse_key_ids(trusted))
        if artifact.signing_keys:
            require_signer(row, signature, artifact.signing_keys)
        if not is_demanded:
            signer(row, signature)
    except SignatureError as error:
        if not is_demanded and str(error) == MISSING:
            return  # nobody asks for it here
        raise MLOpsException(f"{what} is not used: {error}") from error
