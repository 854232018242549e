"""What a download leaves alone, and what it replaces: the user's own files and folders are never harmed."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops import MLOps
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException
from tests.producers.artifact_store import ArtifactStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelm.mlops.models.model import Model

libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArtifactStore]:
    for name in ("PM_MLOPS_MODE", "MCENTER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    for folder in (tmp_path / "store", home, tmp_path / "work"):
        folder.mkdir()
    (home / "letters.txt").write_text("dear")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path / "work")
    library = MLOps()
    library.init()
    yield ArtifactStore(library, tmp_path / "store")
    library.done()


def content_of(path: Path) -> Any:
    """A file's bytes, a link's target, and for a folder all of it."""
    if path.is_symlink():
        return str(path.readlink())
    if path.is_dir():
        return {entry.name: content_of(entry) for entry in path.iterdir()}
    return path.read_bytes() if path.is_file() else path.lstat().st_mode


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".mcenter-downloads"))


def _file(path: Path) -> None:
    path.write_text("mine")


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def _link_to(make: Callable[[Path], None] | None) -> Callable[[Path], None]:
    def link(path: Path) -> None:
        target = path.with_name("target")
        if make is not None:
            make(target)
        path.symlink_to(target)

    return link


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


OCCUPIED = {
    "file": _file,
    "folder": _folder,
    "link to a file": _link_to(_file),
    "link to a folder": _link_to(_folder),
    "link to an empty folder": _link_to(Path.mkdir),
    "dangling link": _link_to(None),
    "fifo": os.mkfifo,
    "socket": _socket,
}


@pytest.mark.parametrize("is_directory", [True, False], ids=["directory model", "file model"])
@pytest.mark.parametrize("occupy", OCCUPIED.values(), ids=OCCUPIED)
def test_what_is_there_already_is_left_alone(
    store: ArtifactStore, is_directory: bool, occupy: Callable[[Path], None]
) -> None:
    occupy(Path("taken"))
    before = content_of(Path.cwd())
    with pytest.raises(MLOpsException, match=r"'taken'.*name another path"):
        store.of(is_directory=is_directory).download("taken")
    assert content_of(Path.cwd()) == before


@pytest.mark.parametrize("is_directory", [True, False], ids=["directory model", "file model"])
@pytest.mark.parametrize("path", [".", "..", "", "/", "./", "a/..", "~", "a\0b", b"a", 7, None], ids=repr)
def test_a_path_that_names_nothing_of_its_own_is_refused(
    store: ArtifactStore, tmp_path: Path, is_directory: bool, path: Any
) -> None:
    if path == "~":
        path = Path.home()
    before = content_of(tmp_path)
    model = store.of(is_directory=is_directory)
    published = content_of(tmp_path / "store")
    with pytest.raises(MLOpsException):
        model.download(path)
    assert content_of(tmp_path) == before | {"store": published}


def test_the_working_directory_and_the_home_are_refused_even_when_empty(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nobody").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    for path in (Path.cwd(), Path.home()):
        with pytest.raises(MLOpsException, match="working directory or the home"):
            store.directory(weights="w").download(path)
        assert list(path.iterdir()) == []


def test_a_refusal_comes_before_anything_is_fetched(store: ArtifactStore) -> None:
    model = store.file("w")
    assert model.artifact is not None
    model.artifact = model.artifact._replace(url="file:///nowhere/at/all")
    _file(Path("taken"))
    with pytest.raises(MLOpsException, match="not downloaded there") as refused:
        model.download("taken")
    assert not isinstance(refused.value, MLOpsConnectionException)


@pytest.mark.parametrize("path", ["model", Path("deep/er/model"), "mein modell ü", "m" * 250, "../work/x"])
@pytest.mark.parametrize("is_directory", [True, False], ids=["directory model", "file model"])
def test_downloads_to_one_path_replace_each_other(
    store: ArtifactStore, is_directory: bool, path: str | Path
) -> None:
    for version in ("one", "two", "two", "three", "one"):
        model = store.of(is_directory=is_directory, content=version)
        model.download(path)
        assert content_of(Path(path)) == ({"weights": version.encode()} if is_directory else version.encode())
        assert model.get_model_path() == str(path)
        assert visible(Path(path).parent) == [Path(path).name]


def test_a_folder_takes_the_place_of_a_downloaded_file_and_the_reverse(store: ArtifactStore) -> None:
    for is_directory in (True, False, True):
        store.of(is_directory=is_directory).download("model")
        assert Path("model").is_dir() == is_directory


AGAIN = """
import sys
from parallelm.mlops import mlops
from parallelm.mlops.models.model import Artifact, ModelFormat
mlops.init()
url, kind, size, sha256 = sys.argv[1:]
model = mlops.Model("m", ModelFormat[kind])
model.artifact = Artifact(url, kind == "SAVEDMODEL", int(size), sha256)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    model.download("model")
mlops.done()
"""


def program(model: Model) -> subprocess.Popen[str]:
    assert model.artifact is not None
    url, _, size, sha256, *_ = model.artifact
    command = [sys.executable, "-c", AGAIN, url, model.metadata.model_format.name, str(size), sha256]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_program_that_was_started_again_replaces_what_it_downloaded(store: ArtifactStore) -> None:
    store.directory(weights="old").download("model")
    with program(store.directory(weights="new")) as again:
        _, error = again.communicate("\n")
    assert again.returncode == 0, error
    assert content_of(Path("model")) == {"weights": b"new"}


@pytest.mark.parametrize("is_directory", [True, False], ids=["directory model", "file model"])
def test_two_programs_may_download_to_one_path_at_once(store: ArtifactStore, is_directory: bool) -> None:
    contents = {version: store.of(is_directory=is_directory, content=version * 1000) for version in "ab"}
    programs = [program(model) for model in contents.values()]
    for each in programs:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    seen = set()
    for each in programs:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    while not Path("model").exists():
        assert any(each.poll() is None for each in programs)
    while any(each.poll() is None for each in programs):
        file = Path("model/weights") if is_directory else Path("model")
        seen.add(file.read_text())  # never missing, never half of it
    for each in programs:
        _, error = each.communicate()
        assert each.returncode == 0, error
    assert seen <= {"a" * 1000, "b" * 1000}
    assert visible(Path.cwd()) == ["model"]


@pytest.mark.parametrize("is_directory", [True, False], ids=["directory model", "file model"])
def test_what_its_user_has_changed_is_left_alone(store: ArtifactStore, is_directory: bool) -> None:
    model = store.of(is_directory=is_directory)
    model.download("model")
    changed = Path("model/notes.txt") if is_directory else Path("model")
    changed.write_text("mine")
    before = content_of(Path.cwd())
    with pytest.raises(MLOpsException, match="changed since"):
        model.download("model")
    assert content_of(Path.cwd()) == before


def test_a_file_that_arrives_while_the_model_is_fetched_is_left_alone(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = store.directory(weights="new")
    monkeypatch.setattr(
        "parallelm.mlops._models.download._check_content", lambda *_: Path("model/notes").write_text("mine")
    )
    Path("model").mkdir()
    with pytest.raises(MLOpsException, match="not downloaded there"):
        model.download("model")
    assert content_of(Path("model")) == {"notes": b"mine"}
    assert visible(Path.cwd()) == ["model"]


def test_compiled_code_of_python_in_a_model_is_not_a_change_of_it(store: ArtifactStore) -> None:
    store.directory(**{"code/predict.py": "x = 1"}).download("model")
    Path("model/code/__pycache__").mkdir()
    Path("model/code/__pycache__/predict.cpython-311.pyc").write_bytes(b"c")
    store.directory(weights="new").download("model")
    assert content_of(Path("model")) == {"weights": b"new"}
    Path("model/__pycache__").mkdir()
    Path("model/__pycache__/notes.txt").write_text("mine")
    with pytest.raises(MLOpsException):
        store.directory(weights="newer").download("model")


def test_empty_files_and_folders_made_for_the_model_are_filled(store: ArtifactStore, tmp_path: Path) -> None:
    Path("folder").mkdir(mode=0o700)
    store.directory(weights="w").download("folder")
    assert content_of(Path("folder")) == {"weights": b"w"}
    assert Path("folder").stat().st_mode & 0o777 == 0o700
    Path("file").touch(mode=0o600)
    store.file("w").download("file")
    assert Path("file").read_text() == "w"
    assert Path("file").stat().st_mode & 0o777 == 0o600
    for model, path in ((store.file("w"), "empty"), (store.directory(weights="w"), "blank")):
        (tmp_path / "work" / "empty").mkdir(exist_ok=True)
        Path("blank").touch()
        with pytest.raises(MLOpsException):
            model.download(path)


def test_the_record_of_downloads_is_not_written_through_a_link(store: ArtifactStore) -> None:
    Path("mine").write_text("mine")
    Path(".model.mcenter-downloads").symlink_to("mine")
    with pytest.raises(MLOpsException, match="cannot be written"):
        store.file("w").download("model")
    assert Path("mine").read_text() == "mine"
    assert not Path("model").exists()


def test_a_file_is_not_written_to_the_name_of_a_folder(store: ArtifactStore) -> None:
    with pytest.raises(MLOpsException, match="names a folder"):
        store.file("w").download("out/")
    store.directory(weights="w").download("out/")
    assert content_of(Path("out")) == {"weights": b"w"}
    with pytest.raises(MLOpsException, match="cannot be written"):
        store.file("w").download("out/weights/model")


@pytest.mark.parametrize("is_directory", [True, False], ids=["directory model", "file model"])
def test_a_disk_that_runs_full_leaves_what_was_there(
    store: ArtifactStore, tmp_path: Path, is_directory: bool
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, b"size=1m"):
        pytest.fail(f"this test mounts a tmpfs, which needs root: {os.strerror(ctypes.get_errno())}")
    try:
        store.of(is_directory=is_directory, content="old").download(disk / "model")
        before = content_of(disk)
        large = store.of(is_directory=is_directory, content="w" * (2 << 20))
        with pytest.raises(MLOpsException, match="No space left on device") as refused:
            large.download(disk / "model")
        assert not isinstance(refused.value, MLOpsConnectionException)
        assert content_of(disk) == before
    finally:
        assert libc.umount2(os.fsencode(disk), 2) == 0


@pytest.mark.parametrize("is_directory", [True, False], ids=["directory model", "file model"])
def test_a_folder_that_may_not_be_written_is_reported_as_that(
    store: ArtifactStore, tmp_path: Path, is_directory: bool
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    if libc.mount(b"tmpfs", os.fsencode(locked), b"tmpfs", 1, b""):  # MS_RDONLY
        pytest.fail(f"this test mounts a tmpfs, which needs root: {os.strerror(ctypes.get_errno())}")
    try:
        for path in (locked / "model", locked / "deep" / "model"):
            with pytest.raises(MLOpsException, match=r"cannot be written.*Read-only") as refused:
                store.of(is_directory=is_directory).download(path)
            assert not isinstance(refused.value, MLOpsConnectionException)
    finally:
        assert libc.umount2(os.fsencode(locked), 2) == 0


def test_readers_find_the_old_folder_or_the_new_one(store: ArtifactStore) -> None:
    models = [store.directory(weights=version * 1000) for version in "ab"]
    models[0].download("model")
    ended = threading.Event()
    seen, failures = set(), []

    def read() -> None:
        while not ended.is_set():
            try:
                seen.add(Path("model/weights").read_text())
            except OSError as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    number = 0
    while not failures and (number < 60 or len(seen) < 2):
        number += 1
        models[number % 2].download("model")
    ended.set()
    reader.join()
    assert failures == []
    assert seen == {"a" * 1000, "b" * 1000}


def test_where_two_folders_cannot_be_exchanged_they_are_renamed(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS, which lacks that call."""
    monkeypatch.setattr("parallelm.connections.artifacts.renames._renamed", lambda *_, **__: False)
    for is_directory in (True, True, False, False, True):
        store.of(is_directory=is_directory).download("model")
    assert content_of(Path("model")) == {"weights": b"new"}
    Path("model/notes").write_text("mine")
    with pytest.raises(MLOpsException):
        store.directory(weights="w").download("model")
    assert visible(Path.cwd()) == ["model"]


def test_what_a_killed_download_has_left_is_cleared_away_or_put_back(store: ArtifactStore) -> None:
    store.directory(weights="old").download("model")
    left = Path(".model.0123456789ab.part")
    left.mkdir()
    (left / "lock").touch()
    Path("model").rename(left / "former")
    broken = store.file("w")
    assert broken.artifact is not None
    broken.artifact = broken.artifact._replace(url="file:///nowhere/at/all")
    with pytest.raises(MLOpsConnectionException):
        broken.download("model")
    assert content_of(Path("model")) == {"weights": b"old"}
    assert visible(Path.cwd()) == ["model"]
    mine = Path(".model.notes.part")
    mine.mkdir()
    store.directory(weights="new").download("model")
    assert visible(Path.cwd()) == [mine.name, "model"]
