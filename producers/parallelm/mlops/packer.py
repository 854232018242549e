"""Directories as tar.gz files and back: how a model that is a directory travels."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

from parallelm.mlops.mlops_exception import MLOpsException


class DirectoryPack:
    """Packs directories into ``temp_folder`` (the system's by default)."""

    def __init__(self, temp_folder: str | Path | None = None) -> None:
        self._temp_folder = Path(temp_folder or tempfile.gettempdir())

    def pack(self, directory: str | Path) -> str:
        """Path of a new tar.gz with all of ``directory``; the caller removes it. Raises ``MLOpsException``."""
        source = Path(directory)
        if not source.is_dir():
            raise MLOpsException(f"{str(directory)!r} is not a directory")
        with tempfile.NamedTemporaryFile(
            prefix=f"{source.name}-", suffix=".tar.gz", dir=self._temp_folder, delete=False
        ) as file:
            pack_directory(source, Path(file.name))
        return file.name

    def unpack(self, archive: str | Path, destination: str | Path) -> None:
        """Extract into ``destination``, which is made when it is not there.

        Raises ``MLOpsException`` for what is no archive, and for members that would leave the destination, are devices,
        or link to outside; then nothing of them is written.
        """
        target = Path(destination)
        target.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(archive) as tar:
                members = tar.getmembers()
                for member in members:
                    tarfile.data_filter(member, str(target))
                tar.extractall(target, members=members, filter="data")
        except tarfile.FilterError as error:
            raise MLOpsException(f"{str(archive)!r} is refused: {error}") from error
        except (tarfile.TarError, OSError, EOFError) as error:
            raise MLOpsException(f"{str(archive)!r} cannot be unpacked: {error}") from error


def pack_directory(source: Path, archive: Path) -> None:
    """Write ``source`` as a tar.gz."""
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        tar.add(source, arcname=".")
