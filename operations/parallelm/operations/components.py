"""Components: check their folders, and put them into the artifact store, where agents find them."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.connections.artifacts import artifact_url, filesystem, store_error
from parallelm.connections.artifacts.create_only import ArtifactExistsError, put_new
from parallelm.definitions.components import Component, pack, read_component, unpack
from parallelm.definitions.components.packing import FILE_NAME, PackedComponent
from parallelm.definitions.errors import ComponentFolderError, DefinitionError
from parallelm.definitions.run_spec import ComponentSpec
from parallelm.operations.errors import ArtifactStoreError, InvalidFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.connections import Settings
    from parallelm.definitions.components import ComponentForm

STORE_FOLDER = "components"


class ComponentFolders:
    """Folders of components side by side, such as ``components/`` beside an MLApp file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, Component] = {}
        self.mistakes: list[str] = []
        """Of folders that were loaded."""

    def load(self, names: Sequence[str]) -> Mapping[str, ComponentForm | None]:
        """Read the folders that there are of these; None for one that is wrong, which ``mistakes`` tells."""
        forms: dict[str, ComponentForm | None] = {}
        for name in names:
            folder = self._folder / Path(name).name
            if not (folder / FILE_NAME).exists():
                continue
            forms[name] = None
            try:
                self._found[name] = read_component(folder)
                forms[name] = self._found[name].form
            except (DefinitionError, ComponentFolderError) as error:
                self.mistakes.append(str(error))
        return forms

    def require_valid(self) -> None:
        """Raises ``InvalidFileError`` with every mistake in what was loaded."""
        if self.mistakes:
            raise InvalidFileError("components are not valid:\n" + "\n".join(self.mistakes))

    @contextmanager
    def packed(self) -> Iterator[Mapping[str, PackedComponent]]:
        """What was loaded, by name, in files that are there within the block. Raises ``InvalidFileError``."""
        with ExitStack() as files:
            yield {name: files.enter_context(_packed(each)) for name, each in self._found.items()}

    def digests(self) -> dict[str, str]:
        """SHA-256 of what was loaded, by name. Raises ``InvalidFileError``."""
        with self.packed() as packed:
            return {name: each.sha256 for name, each in packed.items()}

    def publish(self, settings: Settings) -> dict[str, ComponentSpec]:
        """Put what was loaded into the artifact store. Raises ``InvalidFileError``, ``ArtifactStoreError``."""
        return {name: publish_component(settings, component) for name, component in self._found.items()}


def publish_packed(settings: Settings, name: str, file: Path) -> ComponentSpec:
    """Put a component that was packed elsewhere, from a folder of this name, into the artifact store, once it is found valid.

    Raises ``InvalidFileError`` with every mistake, and as ``publish_component``.
    """
    if name in {"", ".", ".."} or Path(name).name != name:
        raise InvalidFileError(f"{name!r} is no name of a component: it must be that of a folder")
    with tempfile.TemporaryDirectory(prefix="mcenter-component-") as temporary:
        folder = Path(temporary) / name
        try:
            unpack(file, folder)
            component = read_component(folder)
        except (DefinitionError, ComponentFolderError) as error:
            mistakes = str(error).replace(f"{temporary}/", "").replace(file.name, "the tar")
            raise InvalidFileError(f"{name!r} is not a valid component:\n{mistakes}") from error
        return publish_component(settings, component)


def stored_component(settings: Settings, name: str, sha256: str) -> ComponentSpec:
    """A component that is in the artifact store; raises ``InvalidFileError`` when it is not, and ``ArtifactStoreError``."""
    url = _url(settings, name, sha256)
    try:
        store, path = filesystem(settings.artifacts, url)
        size_bytes = int(store.size(path) or 0)
    except FileNotFoundError as error:
        raise InvalidFileError(
            f"the artifact store has no component {name!r} with SHA-256 {sha256}: send it first"
        ) from error
    except Exception as error:  # noqa: BLE001 - stores of many kinds raise as they like
        reason = store_error(settings.artifacts, error)
        raise ArtifactStoreError(
            f"the artifact store does not tell of component {name!r}: {reason}"
        ) from None
    return ComponentSpec(name=name, artifact_url=url, sha256=sha256, size_bytes=size_bytes)


def check_component(folder: Path) -> Component:
    """A valid component; raises ``InvalidFileError`` with every mistake and its place."""
    try:
        return read_component(folder)
    except (DefinitionError, ComponentFolderError) as error:
        raise InvalidFileError(f"{folder} is not a valid component:\n{error}") from error


def publish_component(settings: Settings, component: Component) -> ComponentSpec:
    """Put a component into the artifact store under its SHA-256, unless it is there.

    Raises ``InvalidFileError`` when its folder cannot be packed, ``ArtifactStoreError``, ``ConfigurationError``.
    """
    name = component.form.name
    with _packed(component) as packed:
        url = _url(settings, name, packed.sha256)
        spec = ComponentSpec(name=name, artifact_url=url, sha256=packed.sha256, size_bytes=packed.size_bytes)
        manifest = {"model_id": spec.name, "size_bytes": spec.size_bytes, "sha256": spec.sha256}
        try:
            store, path = filesystem(settings.artifacts, spec.artifact_url)
            put_new(store, path, packed.file, manifest)
        except ArtifactExistsError as error:
            raise ArtifactStoreError(
                f"{spec.artifact_url} does not hold what its name says: it was damaged in the artifact store; delete it, and "
                "apply again"
            ) from error
        except Exception as error:  # noqa: BLE001 - stores of many kinds raise as they like
            reason = store_error(settings.artifacts, error)
            raise ArtifactStoreError(
                f"the artifact store does not take component {spec.name!r}: {reason}"
            ) from None
    return spec


@contextmanager
def _packed(component: Component) -> Iterator[PackedComponent]:
    """A component's tar, in a file that is there within the block; raises ``InvalidFileError``."""
    with ExitStack() as block:
        try:
            packed = block.enter_context(pack(component.folder, component.files))
        except ComponentFolderError as error:
            raise InvalidFileError(str(error)) from error
        yield packed


def _url(settings: Settings, name: str, sha256: str) -> str:
    """Where a component lies in the artifact store."""
    return artifact_url(settings.artifacts, STORE_FOLDER, name, f"{sha256}.tar")
