"""``load_time_capture`` reads captures with a manifest as it reads those of the original platform."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.schemas.captures import CaptureManifest, ManifestMember
from parallelm.schemas.captures.names import EXPORT, MANIFEST, table_member
from tests.producers.time_capture.captures import TRAIN, whole_capture

if TYPE_CHECKING:
    from pathlib import Path

TABLE = table_member("events")


def ours(path: Path, changed: dict[str, bytes] | None = None) -> Path:
    """A capture with tables and a manifest; ``changed`` after the manifest was made."""
    files = {f"{EXPORT}/{name}": text.encode() for name, text in whole_capture().items()} | {TABLE: b"table"}
    manifest = CaptureManifest(
        capture_id="c1",
        name="june",
        mlapp_id="app-1",
        mlapp_name="App",
        start_ms=0,
        end_ms=1,
        known_at_ms=2,
        created_by="ada",
        topic_prefix="mlops.",
        members=tuple(
            ManifestMember(name=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), rows=0)
            for name, data in files.items()
        ),
    )
    files |= {MANIFEST: manifest.to_json().encode()} | (changed or {})
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_its_statistics_events_and_files_are_those_of_the_export(tmp_path: Path):
    capture = mlops.load_time_capture(ours(tmp_path / "c.tar"))
    assert (capture.get_mlapp_id(), capture.get_mlapp_policy()) == ("app-1", "ALWAYS_UPDATE")
    found = capture.get_stats("pipelinestat.count")
    assert found is not None
    assert found["values"].tolist() == [[30000], [60000]]
    assert sorted(capture.get_file_names()) == sorted(whole_capture())
    capture.done()


def test_one_that_was_changed_is_refused(tmp_path: Path):
    statistics = whole_capture()[TRAIN].replace("12.5", "12.6").encode()
    for name, data in ((f"{EXPORT}/{TRAIN}", statistics), (TABLE, b"tabla")):
        with pytest.raises(MLOpsException, match=f"is refused: member '{name}': it was changed after"):
            mlops.load_time_capture(ours(tmp_path / "c.tar", {name: data}))
