"""Components on this host: each folder is fetched once, by its SHA-256, and what is there is complete."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.agent.pipelines.errors import PreparationError
from parallelm.agent.pipelines.pruning import mark_used

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.definitions.run_spec import ComponentSpec


class ComponentCache:
    """A folder of components. Threads and processes may share it."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings

    def folder(self, component: ComponentSpec) -> Path:
        """The component's folder, to be read only. Raises ``PreparationError``."""
        # A component knows its own name by its folder's.
        place = self._folder / component.sha256 / component.name
        if place.is_dir():
            mark_used(place.parent)
            return place
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self._folder) as name:
            new = Path(name) / "entry"
            self._fetch(component, Path(name) / "component.tar", new / component.name)
            with contextlib.suppress(OSError):  # somebody else was faster, with the same content
                new.rename(place.parent)
        if not place.is_dir():
            raise PreparationError(f"component {component.name!r} cannot be written to {place}")
        return place

    def copy(self, component: ComponentSpec, target: Path) -> None:
        """Give a run a folder of its own with the component, to work in. Raises ``PreparationError``."""
        source = self.folder(component)
        try:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, symlinks=True)
        except OSError as error:
            raise PreparationError(
                f"component {component.name!r} cannot be written to {target}: {error}"
            ) from error

    def _fetch(self, component: ComponentSpec, archive: Path, target: Path) -> None:
        from parallelm.definitions.components import unpack
        from parallelm.definitions.errors import ComponentFolderError
        from parallelm.mlops._models.download import fetch
        from parallelm.mlops.mlops_exception import MLOpsException
        from parallelm.mlops.models.model import Artifact

        artifact = Artifact(component.artifact_url, False, component.size_bytes, component.sha256)
        try:
            fetch(f"component {component.name!r}", artifact, archive, self._settings)
            target.mkdir(parents=True)
            unpack(archive, target)
        except (MLOpsException, ComponentFolderError, OSError) as error:
            raise PreparationError(str(error)) from error
