"""A model is published once: what was announced is never written again, whoever tries."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem

from parallelm.connections.artifacts import filesystem
from parallelm.connections.artifacts.create_only import ArtifactExistsError, put_new
from parallelm.mlops import MLOps, mlops
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.testing import capture

if TYPE_CHECKING:
    from tests.producers.conftest import Component

PUBLISH = """
import os, sys
from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
mlops.init()
with open("m.txt", "w") as file:
    file.write(os.environ["CONTENT"])
model = mlops.Model("m", "Text")
model.metadata.modelId = os.environ.get("MODEL_ID", model.get_id())
model.set_model_path("m.txt")
"""
AND_DONE = "print(mlops.publish_model(model))\nmlops.done()\n"
REFUSED = """
try:
    mlops.publish_model(model)
except MLOpsException as error:
    print(error)
"""


def stored(component: Component, announced: Any) -> bytes:
    store, where = filesystem(component.settings.artifacts, announced.artifact_url)
    content: bytes = store.cat_file(where)
    return content


def test_the_same_model_is_not_published_again_after_done_and_init(component: Component) -> None:
    again = "mlops.init()\nopen('m.txt', 'w').write('second')\n"
    output = component.run(
        PUBLISH + AND_DONE + again + REFUSED + "mlops.done()\n" + again + REFUSED, CONTENT="first"
    )
    model_id, *refusals = output.splitlines()
    assert len(refusals) == 2
    assert all("published already" in refusal and model_id in refusal for refusal in refusals)
    (announced,) = component.records("models", bool)
    assert stored(component, announced) == b"first"
    assert announced.sha256 == hashlib.sha256(b"first").hexdigest()


def test_another_process_of_the_host_does_not_publish_it_again(component: Component) -> None:
    model_id = component.run(PUBLISH + AND_DONE, CONTENT="first").strip()
    output = component.run(PUBLISH + REFUSED + "mlops.done()", CONTENT="second", MODEL_ID=model_id)
    assert "published already" in output
    (announced,) = component.records("models", bool)
    assert stored(component, announced) == b"first"


def test_another_host_writes_nothing_over_it_and_reports_that(component: Component, tmp_path: Path) -> None:
    model_id = component.run(PUBLISH + AND_DONE, CONTENT="first").strip()
    (announced,) = component.records("models", bool)
    outbox = tmp_path / "another" / "outbox"
    with component.start(
        PUBLISH + AND_DONE,
        CONTENT="second",
        MODEL_ID=model_id,
        MCENTER_COMPONENT_OUTBOX_FOLDER=str(outbox),
    ) as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "has another artifact" in error
    assert stored(component, announced) == b"first"
    (aside,) = outbox.iterdir()
    assert (aside / "artifact").read_text() == "second"
    component.run("from parallelm.mlops import mlops; mlops.init(); mlops.done()")
    assert [record.sha256 for record in component.records("models", bool)] == [announced.sha256]


def test_a_model_that_the_platform_gave_is_not_published(tmp_path: Path) -> None:
    from parallelm.mlops.models.model import Artifact

    (tmp_path / "m").write_text("m")
    with capture():
        model = mlops.Model("m", ModelFormat.TEXT)
        model.artifact = Artifact("file:///elsewhere", is_directory=False, size_bytes=1, sha256="")
        model.set_model_path(tmp_path / "m")
        with pytest.raises(MLOpsException, match="comes from the platform"):
            mlops.publish_model(model)


def test_stand_alone_and_in_tests_a_model_is_published_once_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PM_MLOPS_MODE", raising=False)
    (tmp_path / "m").write_text("m")
    library = MLOps()
    library.init()
    model = library.Model("m", ModelFormat.TEXT)
    model.set_model_path(tmp_path / "m")
    library.publish_model(model)
    for _ in range(2):
        with pytest.raises(MLOpsException, match="published already"):
            library.publish_model(model)
        library.done()
        library.init()
    twin = library.Model("twin", ModelFormat.TEXT)
    twin.metadata.modelId = model.get_id()
    twin.set_model_path(tmp_path / "m")
    with pytest.raises(MLOpsException, match="published already"):
        library.publish_model(twin)
    library.done()
    with capture() as reported, pytest.raises(MLOpsException, match="published already"):
        mlops.publish_model(model)
    assert reported.models == []


def test_a_model_whose_publication_failed_may_be_published_after_all(tmp_path: Path) -> None:
    with capture() as reported:
        model = mlops.Model("m", ModelFormat.TEXT)
        model.set_model_path(tmp_path / "m")
        with pytest.raises(MLOpsException):
            mlops.publish_model(model)
        (tmp_path / "m").write_text("m")
        mlops.publish_model(model)
    assert [announced.model_id for announced in reported.models] == [model.get_id()]


@pytest.mark.parametrize("model_id", ["../escaped", "", ".", "..", "a/b", "a b", "x.partial", "x.lock", "ä"])
def test_ids_that_are_not_names_of_folders_are_refused(tmp_path: Path, model_id: str) -> None:
    (tmp_path / "m").write_text("m")
    with capture():
        model = mlops.Model("m", ModelFormat.TEXT)
        model.metadata.modelId = model_id
        model.set_model_path(tmp_path / "m")
        with pytest.raises(MLOpsException, match="not a model's id"):
            mlops.publish_model(model)


class Objects(AsyncFileSystem):  # type: ignore[misc]
    """A store of objects in memory: they appear whole; a conditional write is refused where there is one."""

    protocol = "objects"
    cachable = False
    conditional = True

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, bytes] = {}
        self.fails = 0
        self.hides = 0
        """How many looks do not see an object: another host is about to write it."""

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        if path not in self.held or self.hides:
            self.hides = max(0, self.hides - 1)
            raise FileNotFoundError(path)
        return {"name": path, "size": len(self.held[path]), "type": "file"}

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        pass

    async def _put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **_: Any) -> None:
        if mode == "create" and not self.conditional:
            raise OSError("A header you provided implies functionality that is not implemented")
        if mode == "create" and rpath in self.held:
            raise FileExistsError(rpath)
        if self.fails:
            self.fails -= 1
            raise ConnectionError("away")
        self.held[rpath] = _read(lpath)

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        import io

        assert mode == "rb"
        return io.BytesIO(self.held[path])


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


@dataclasses.dataclass
class ToUpload:
    file: Path
    manifest: dict[str, Any]

    @classmethod
    def of(cls, folder: Path, content: bytes) -> ToUpload:
        file = folder / hashlib.sha256(content).hexdigest()
        file.write_bytes(content)
        return cls(file, {"model_id": "m", "size_bytes": len(content), "sha256": file.name})


def stores(folder: Path) -> dict[str, tuple[Any, str]]:
    refusing = Objects()
    refusing.conditional = False
    return {
        "local": (fsspec.filesystem("file"), str(folder / "store" / "ü %20" / "artifact")),
        "memory": (fsspec.filesystem("memory"), f"/{folder.name}/artifact"),
        "objects": (Objects(), "bucket/artifact"),
        "objects without conditional writes": (refusing, "bucket/artifact"),
    }


@pytest.mark.parametrize("kind", stores(Path("/x")))
def test_an_artifact_is_written_once_and_the_same_one_may_be_tried_again(tmp_path: Path, kind: str) -> None:
    store, path = stores(tmp_path)[kind]
    first, second = ToUpload.of(tmp_path, b"first"), ToUpload.of(tmp_path, b"other")
    for _ in range(2):
        put_new(store, path, first.file, first.manifest)
    with pytest.raises(ArtifactExistsError):
        put_new(store, path, second.file, second.manifest)
    with store.open(path, "rb") as opened:
        assert opened.read() == b"first"
    if kind == "local":
        assert [entry.name for entry in Path(path).parent.iterdir()] == ["artifact"]


def test_two_hosts_that_upload_at_once_leave_the_first_one_s(tmp_path: Path) -> None:
    store, path = Objects(), "bucket/artifact"
    first, second = ToUpload.of(tmp_path, b"first"), ToUpload.of(tmp_path, b"other")
    put_new(store, path, first.file, first.manifest)
    store.hides = 1
    with pytest.raises(ArtifactExistsError):
        put_new(store, path, second.file, second.manifest)
    assert store.held == {path: b"first"}


def test_an_upload_that_failed_is_tried_again(tmp_path: Path) -> None:
    store, path = Objects(), "bucket/artifact"
    store.fails = 1
    model = ToUpload.of(tmp_path, b"first")
    with pytest.raises(ConnectionError):
        put_new(store, path, model.file, model.manifest)
    put_new(store, path, model.file, model.manifest)
    assert store.held == {path: b"first"}


def test_what_a_killed_upload_has_written_is_not_the_artifact(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "artifact.0123456789ab.part").write_bytes(b"fir")
    model = ToUpload.of(tmp_path, b"first")
    put_new(fsspec.filesystem("file"), str(folder / "artifact"), model.file, model.manifest)
    assert (folder / "artifact").read_bytes() == b"first"
    assert [path.name for path in folder.iterdir()] == ["artifact"]
