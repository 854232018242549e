"""Hostile and damaged captures are refused, with the member's name, and nothing is written outside the folder."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas.captures import CaptureArchive, CaptureManifest, Limits, ManifestMember
from parallelm.schemas.captures.manifest import parse_manifest
from parallelm.schemas.captures.names import DETAILS, EXPORT, MANIFEST, file_part, table_member
from parallelm.schemas.errors import CaptureFileError
from tests.hostile_tars import headers_about_headers, with_extended_header

if TYPE_CHECKING:
    from pathlib import Path

TABLE = table_member("events")
FILES = {DETAILS: b"WorkflowID: app wfNodes: [], modelPolicy: MANUAL", TABLE: b"x" * 3000}


def manifest_of(files: dict[str, bytes], **changed: object) -> CaptureManifest:
    members = tuple(
        ManifestMember(name=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), rows=0)
        for name, data in files.items()
    )
    made = CaptureManifest(
        capture_id="c1",
        name="june",
        mlapp_id="app",
        mlapp_name="App",
        start_ms=0,
        end_ms=10,
        known_at_ms=20,
        created_by="ada",
        topic_prefix="mlops.",
        members=members,
    )
    return dataclasses.replace(made, **changed)  # type: ignore[arg-type]


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def whole(path: Path, files: dict[str, bytes] | None = None, *more: tuple[tarfile.TarInfo, bytes]) -> Path:
    files = FILES if files is None else files
    text = manifest_of(FILES).to_json().encode()
    return tar_of(path, *(member(name, data) for name, data in files.items()), member(MANIFEST, text), *more)


def refused(path: Path, message: str, limits: Limits | None = None, target: Path | None = None) -> None:
    target = target or path.parent / "unpacked"
    target.mkdir(exist_ok=True)
    with pytest.raises(CaptureFileError, match=message), CaptureArchive(path, limits) as archive:
        archive.extract(target, "timeline-capture-export", "mcenter-capture")


def test_a_whole_capture_is_unpacked(tmp_path: Path):
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        path = tmp_path / f"c.{mode[2:]}"
        members = [member(name, data) for name, data in FILES.items()]
        tar_of(path, *members, member(MANIFEST, manifest_of(FILES).to_json().encode()), mode=mode)
        target = tmp_path / f"to-{mode[2:]}"
        target.mkdir()
        with CaptureArchive(path) as archive:
            assert archive.manifest == manifest_of(FILES)
            archive.extract(target, EXPORT, "mcenter-capture/tables")
        found = {
            str(each.relative_to(target)): each.read_bytes() for each in target.rglob("*.*") if each.is_file()
        }
        assert found == FILES


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (member("/etc/cron.d/x"), "it would leave its folder"),
        (member(f"{EXPORT}/../../x"), "it would leave its folder"),
        (member(f"{EXPORT}\\..\\x"), "it would leave its folder"),
        (member("C:x"), "it would leave its folder"),
        (
            member(f"{EXPORT}/a.csv", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            "a symbolic link to '/etc/passwd'",
        ),
        (member(f"{EXPORT}/a.csv", type=tarfile.LNKTYPE, linkname=DETAILS), "it is a hard link to"),
        (member(f"{EXPORT}/a.csv", type=tarfile.CHRTYPE, devmajor=1, devminor=5), "it is a device"),
        (member(f"{EXPORT}/a.csv", type=tarfile.BLKTYPE), "it is a device"),
        (member(f"{EXPORT}/a.csv", type=tarfile.FIFOTYPE), "it is a named pipe"),
        (member(DETAILS, b"other"), "there are two members of this name"),
        (member(f"{EXPORT}/./ion-details.txt", b"other"), "there are two members of this name"),
    ],
)
def test_members_that_no_capture_has_are_refused(
    tmp_path: Path, hostile: tuple[tarfile.TarInfo, bytes], reason: str
):
    path = tar_of(tmp_path / "c.tar", member(DETAILS, FILES[DETAILS]), hostile)
    refused(path, f"is refused: member .*{reason}")
    assert [each.name for each in tmp_path.iterdir() if each.name != "unpacked"] == ["c.tar"]
    assert not [each for each in (tmp_path / "unpacked").rglob("*") if each.is_file()], (
        "nothing is written before"
    )


def test_a_sparse_file_that_declares_more_than_it_holds_is_refused(tmp_path: Path):
    info, _ = member(f"{EXPORT}/a.csv")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 50)}
    info.size = 512
    refused(tar_of(tmp_path / "c.tar", (info, b"0\n" + bytes(510))), f"'{EXPORT}/a.csv': it is a sparse file")


def test_more_than_the_file_can_hold_is_refused(tmp_path: Path):
    info, _ = member(f"{EXPORT}/huge.csv")
    info.size = 1 << 40
    path = tmp_path / "c.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    refused(
        path,
        "'timeline-capture-export/huge.csv': with its 1099511627776 bytes .* too much for a file of 2560 bytes",
    )


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path):
    path = tmp_path / "bomb.tar.gz"
    info, _ = member(f"{EXPORT}/zeros.csv")
    info.size = 1 << 44
    with gzip.open(path, "wb") as out:
        out.write(info.tobuf(tarfile.GNU_FORMAT))
        out.write(bytes(1 << 20))
    refused(path, "zeros.csv': with its 17592186044416 bytes the members hold more than")
    small = Limits(free_bytes=1000, ratio=10)
    zeros = tar_of(tmp_path / "zeros.tar.xz", member(f"{EXPORT}/a.csv", bytes(200_000)), mode="w:xz")
    refused(zeros, "a.csv': with its 200000 bytes", small)


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path):
    path = tmp_path / "c.tar.gz"
    info, _ = member("././@PaxHeader", type=tarfile.XHDTYPE)
    info.size = 1 << 33
    with gzip.open(path, "wb") as out:
        out.write(info.tobuf(tarfile.GNU_FORMAT))
        out.write(bytes(1 << 20))
    refused(path, "a header says that it has 8589934592 bytes")


def test_too_many_members_are_refused(tmp_path: Path):
    path = tar_of(tmp_path / "c.tar", *(member(f"{EXPORT}/{number}.csv") for number in range(12)))
    refused(path, "10.csv': there are more than 10 members", Limits(members=10))


def test_a_manifest_that_is_too_large_is_not_read(tmp_path: Path):
    refused(
        whole(tmp_path / "c.tar"), f"{MANIFEST}': it is larger than 100 bytes", Limits(manifest_bytes=100)
    )


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (FILES | {TABLE: b"y" * 3000}, f"'{TABLE}': it was changed after it was written: its SHA-256 is"),
        (
            FILES | {DETAILS: b"WorkflowID: abb wfNodes: [], modelPolicy: MANUAL"},
            f"'{DETAILS}': it was changed",
        ),
        (FILES | {TABLE: b"x" * 2999}, f"'{TABLE}': it has 2999 bytes, the manifest says 3000"),
        ({DETAILS: FILES[DETAILS]}, f"'{TABLE}': the manifest lists it, and it is missing"),
        (FILES | {f"{EXPORT}/more.csv": b""}, "more.csv': the manifest does not list it"),
    ],
)
def test_contents_that_differ_from_the_manifest_are_refused(
    tmp_path: Path, files: dict[str, bytes], reason: str
):
    refused(whole(tmp_path / "c.tar", files), reason)


def test_what_is_not_unpacked_is_checked_as_well(tmp_path: Path):
    path = whole(tmp_path / "c.tar", FILES | {TABLE: b"y" * 3000})
    (tmp_path / "to").mkdir()
    with pytest.raises(CaptureFileError, match=TABLE), CaptureArchive(path) as archive:
        archive.extract(tmp_path / "to", EXPORT)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "the manifest is not JSON"),
        (b"[" * 100_000, "the manifest is not JSON"),
        (b"[]", "does not say that it is of format"),
        (
            b'{"format": "mcenter-timeline-capture", "version": 2}',
            "format version 2, this program reads version 1",
        ),
        (b'{"format": "mcenter-timeline-capture", "version": 1}', "has no list of members"),
        (manifest_of(FILES, mlapp_id=7).to_json().encode(), "has 7 as mlapp_id; it must be of type str"),
        (manifest_of(FILES, end_ms=0).to_json().encode(), "from 0 to 0 ms: it is empty"),
        (manifest_of(FILES | {MANIFEST: b""}).to_json().encode(), "lists a member twice, or itself"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: bytes, reason: str):
    members = [member(name, data) for name, data in FILES.items()]
    refused(tar_of(tmp_path / "c.tar", *members, member(MANIFEST, text)), f"'{MANIFEST}': .*{reason}")


@pytest.mark.parametrize(
    "tar",
    [headers_about_headers(), with_extended_header("GNU.sparse.map=0,x")],
    ids=["headers about headers", "a map of nothing"],
)
def test_a_tar_with_wrong_headers_is_refused(tmp_path: Path, tar: bytes):
    (tmp_path / "c.tar").write_bytes(tar)
    refused(tmp_path / "c.tar", "cannot be unpacked")


def test_a_damaged_header_is_no_end(tmp_path: Path):
    path = tar_of(tmp_path / "c.tar", member(DETAILS, FILES[DETAILS]), member(f"{EXPORT}/b.csv", b"b"))
    data = bytearray(path.read_bytes())
    data[1024 + 150] ^= 0xFF
    path.write_bytes(data)
    refused(path, "damaged header at byte 1024")


@given(cut=st.integers(min_value=0, max_value=6000), flip=st.integers(min_value=0, max_value=6000))
def test_no_damage_raises_anything_else_or_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int
):
    folder = tmp_path_factory.mktemp("damaged")
    path = whole(folder / "c.tar")
    data = bytearray(path.read_bytes())
    data[flip] ^= 0x55
    path.write_bytes(data[: len(data) - cut])
    target = folder / "to"
    target.mkdir()
    try:
        with CaptureArchive(path) as archive:
            archive.extract(target, EXPORT, "mcenter-capture/tables")
    except CaptureFileError:
        return
    found = {str(each.relative_to(target)): each.read_bytes() for each in target.rglob("*") if each.is_file()}
    assert found == FILES, "only bytes that say nothing may differ"


_TEXT = st.text(max_size=20)


@given(name=_TEXT, mlapp_id=_TEXT, start_ms=st.integers(-(2**40), 2**40), rows=st.integers(0, 2**40))
def test_a_manifest_is_read_as_it_was_written(name: str, mlapp_id: str, start_ms: int, rows: int):
    made = manifest_of(FILES, name=name, mlapp_id=mlapp_id, start_ms=start_ms, end_ms=start_ms + 1)
    made = dataclasses.replace(
        made, members=tuple(dataclasses.replace(each, rows=rows) for each in made.members)
    )
    assert parse_manifest(made.to_json().encode("utf-8", "surrogatepass")) == made


@given(text=st.text(max_size=300))
def test_any_text_is_a_part_of_a_file_name(text: str):
    part = file_part(text)
    assert 1 <= len(part) <= 80
    assert part not in {".", ".."}
    assert not set(part) & set('/\\\0:*?"<>|')
    assert part.isascii()
