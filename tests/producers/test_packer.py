"""What a packed folder holds: all that its links lead to, and nothing that could not be unpacked again."""

from __future__ import annotations

import os
import socket
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops import mlops
from parallelm.mlops._models.outbox import measure
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models.model import Artifact, ModelFormat
from parallelm.mlops.packer import DirectoryPack, pack_directory
from parallelm.mlops.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable


def content_of(folder: Path) -> dict[str, Any]:
    """Content by name, links not followed: unpacked, there are none."""
    found: dict[str, Any] = {}
    for path in folder.iterdir():
        mode = path.lstat().st_mode
        assert stat.S_ISDIR(mode) or stat.S_ISREG(mode), path
        found[path.name] = content_of(path) if stat.S_ISDIR(mode) else path.read_bytes()
    return found


def unpacked(tmp_path: Path, folder: Path) -> dict[str, Any]:
    archive = DirectoryPack(tmp_path).pack(folder)
    DirectoryPack().unpack(archive, tmp_path / "unpacked")
    return content_of(tmp_path / "unpacked")


def hugging_face_snapshot(cache: Path) -> Path:
    """As ``huggingface_hub`` lays it out: the files of a snapshot are links to blobs beside the snapshots."""
    (cache / "blobs").mkdir(parents=True)
    snapshot = cache / "snapshots" / "0a1b"
    (snapshot / "tokenizer").mkdir(parents=True)
    for name, content in (("config.json", "{}"), ("model.safetensors", "w"), ("tokenizer/vocab.txt", "v")):
        blob = cache / "blobs" / f"sha-of-{content}"
        blob.write_text(content)
        depth = "../" * (2 + name.count("/"))
        (snapshot / name).symlink_to(f"{depth}blobs/{blob.name}")
    return snapshot


def test_a_folder_is_unpacked_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x" / "dir" / "empty").mkdir(parents=True)
    (tmp_path / "x" / "dir" / "a").write_text("a")
    monkeypatch.chdir(tmp_path / "x" / "dir")
    wanted = {"dir": {"a": b"a", "empty": {}}}
    for number, given in enumerate([tmp_path / "x" / "dir", f"{tmp_path}/x/dir/", ".", "../dir", "empty/.."]):
        place = tmp_path / str(number)
        place.mkdir()
        assert unpacked(place, Path(given) if number else tmp_path / "x" / "dir") == wanted


def test_links_are_followed_when_a_folder_is_packed(tmp_path: Path) -> None:
    snapshot = hugging_face_snapshot(tmp_path / "cache")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "deep").write_text("deep")
    (snapshot / "folder").symlink_to(tmp_path / "outside")
    (snapshot / "own").symlink_to(snapshot / "config.json")
    (snapshot / "twice").hardlink_to(tmp_path / "cache" / "blobs" / "sha-of-w")
    assert unpacked(tmp_path, snapshot) == {
        "0a1b": {
            "config.json": b"{}",
            "model.safetensors": b"w",
            "tokenizer": {"vocab.txt": b"v"},
            "folder": {"deep": b"deep"},
            "own": b"{}",
            "twice": b"w",
        }
    }


def test_a_published_snapshot_can_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PM_MLOPS_MODE", raising=False)
    snapshot = hugging_face_snapshot(tmp_path / "cache")
    with capture() as reported:
        model = mlops.Model("m", ModelFormat.SAVEDMODEL)
        model.set_model_path(snapshot)
        mlops.publish_model(model)
        (announced,) = reported.models
        archive = tmp_path / "archive.tar.gz"
        pack_directory(snapshot, archive)
        deployed = mlops.Model("m", ModelFormat.SAVEDMODEL)
        deployed.artifact = Artifact(archive.as_uri(), announced.is_directory, *measure(archive))
        deployed.download(tmp_path / "taken")
    assert content_of(tmp_path / "taken") == {
        "config.json": b"{}",
        "model.safetensors": b"w",
        "tokenizer": {"vocab.txt": b"v"},
    }


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


UNPACKABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "dangling link": (lambda path: path.symlink_to("nowhere"), "leads to 'nowhere'"),
    "link to itself": (lambda path: path.symlink_to(path.name), "cannot be packed"),
    "link to its folder": (lambda path: path.symlink_to("."), "a folder that contains it"),
    "link to a folder above": (lambda path: path.symlink_to("../.."), "a folder that contains it"),
    "fifo": (os.mkfifo, "neither a file nor a folder"),
    "socket": (_socket, "neither a file nor a folder"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "neither a file nor a folder"),
}


@pytest.mark.parametrize(("make", "reason"), UNPACKABLE.values(), ids=UNPACKABLE)
def test_what_cannot_be_unpacked_again_is_refused_when_it_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / "model" / "inner" / "odd"
    odd.parent.mkdir(parents=True)
    make(odd)
    (tmp_path / "temporary").mkdir()
    with pytest.raises(MLOpsException, match=f"odd'.*{reason}"):
        DirectoryPack(tmp_path / "temporary").pack("model")
    assert list((tmp_path / "temporary").iterdir()) == []
    with capture() as reported:
        model = mlops.Model("m", ModelFormat.SAVEDMODEL)
        model.set_model_path("model")
        with pytest.raises(MLOpsException, match=reason):
            mlops.publish_model(model)
    assert reported.models == []


@pytest.mark.parametrize("path", ["/dev/zero", "fifo"])
def test_a_model_that_is_a_file_without_an_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    with capture():
        model = mlops.Model("m", ModelFormat.BINARY)
        model.set_model_path(path)
        with pytest.raises(MLOpsException, match="neither a file nor a folder"):
            mlops.publish_model(model)


def test_folders_of_links_to_folders_of_links_have_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parallelm.mlops.packer.MAX_ENTRIES", 1000)
    for depth in range(30):
        (tmp_path / str(depth)).mkdir()
        for name in ("a", "b"):
            (tmp_path / str(depth) / name).symlink_to(tmp_path / str(depth + 1))
    (tmp_path / "30").mkdir()
    with pytest.raises(MLOpsException, match="more than 1000"):
        DirectoryPack().pack(tmp_path / "0")


def test_names_of_all_kinds_sparse_files_and_modes_survive(tmp_path: Path) -> None:
    folder = tmp_path / "mödel 'x' %20"
    folder.mkdir()
    names = ["ü", "a\nb", "\\back", os.fsdecode(b"\xff\xfe"), "-x", "x" * 250, "#?", " ", "...", "con:aux"]
    for name in names:
        (folder / name).write_text(name, errors="surrogateescape")
    with (folder / "sparse").open("wb") as sparse:
        sparse.truncate(3_000_000)
    (folder / "run.sh").touch(mode=0o755)
    found = unpacked(tmp_path, folder)[folder.name]
    assert {name: content for name, content in found.items() if name in names} == {
        name: os.fsencode(name) for name in names
    }
    assert found["sparse"] == bytes(3_000_000)
    assert (tmp_path / "unpacked" / folder.name / "run.sh").stat().st_mode & 0o777 == 0o755


def test_an_archive_tells_nothing_of_its_maker_and_is_not_in_itself(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with tarfile.open(DirectoryPack(tmp_path).pack(tmp_path)) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == [tmp_path.name, f"{tmp_path.name}/a"]
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}


def test_archives_without_a_folder_of_their_own_keep_their_meaning(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_text("a")
    with tarfile.open(tmp_path / "old.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "model", arcname=".")
    DirectoryPack().unpack(tmp_path / "old.tar.gz", tmp_path / "unpacked")
    assert content_of(tmp_path / "unpacked") == {"a": b"a"}


def test_a_member_that_leaves_by_way_of_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "place" / "inside").mkdir(parents=True)
    with tarfile.open(tmp_path / "hostile.tar", "w") as tar:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, "inside"
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("way/../../escaped"))
        tar.addfile(tarfile.TarInfo("way/in"))
    with pytest.raises(MLOpsException, match="refused"):
        DirectoryPack().unpack(tmp_path / "hostile.tar", tmp_path / "place")
    assert sorted(path.name for path in (tmp_path / "place").iterdir()) == ["inside"]


@pytest.mark.parametrize("bad", [None, 7, b"x", "nowhere", "a\0b", ""])
def test_what_is_not_a_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: DirectoryPack().unpack(bad, tmp_path / "x"),
        lambda: DirectoryPack().pack(bad) if bad else DirectoryPack(tmp_path / "nowhere").pack("."),
    ):
        with pytest.raises(MLOpsException):
            call()
    (tmp_path / "file").touch()
    (tmp_path / "dir").mkdir()
    with pytest.raises(MLOpsException):
        DirectoryPack().unpack(DirectoryPack(tmp_path).pack("dir"), tmp_path / "file")
