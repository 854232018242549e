"""What is not a capture, and a broken one, are reported as such."""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.time_capture._statistics import read_statistics
from tests.producers.time_capture.captures import (
    EVENTS,
    FOLDER,
    SYSTEM,
    TRAIN,
    event,
    statistic,
    statistics,
    whole_capture,
    write_tar,
)

if TYPE_CHECKING:
    from pathlib import Path


def refused(path: Path, message: str) -> None:
    with pytest.raises(MLOpsException, match=message):
        mlops.load_time_capture(path)


def test_no_file_and_no_tar(tmp_path: Path) -> None:
    refused(tmp_path / "none.tar", "there is no timeline capture at")
    (tmp_path / "text.tar").write_text("hello")
    refused(tmp_path / "text.tar", "cannot be unpacked")
    whole = write_tar(tmp_path / "c.tar.gz", whole_capture(), mode="w:gz")
    (tmp_path / "cut.tar.gz").write_bytes(whole.read_bytes()[:-400])
    refused(tmp_path / "cut.tar.gz", "cannot be unpacked")


def test_another_folder(tmp_path: Path) -> None:
    refused(write_tar(tmp_path / "c.tar", whole_capture(), folder="other"), f"it has no folder {FOLDER}/")


def test_members_that_leave_their_folder(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "c.tar", whole_capture())
    with tarfile.open(archive, "a") as tar:
        tar.addfile(tarfile.TarInfo(f"{FOLDER}/../../escaped.txt"))
    refused(archive, "is refused")


def test_links_to_outside(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "c.tar", whole_capture())
    with tarfile.open(archive, "a") as tar:
        link = tarfile.TarInfo(f"{FOLDER}/link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    refused(archive, "is refused")


def test_a_refused_capture_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = tmp_path / "temporary"
    unpacked.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(unpacked))
    refused(write_tar(tmp_path / "c.tar", {"ion-details.txt": "hello"}), "does not contain WorkflowID")
    assert not list(unpacked.iterdir())


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"ion-details.txt": None}, "the capture has no ion-details.txt"),
        ({"ion-details.txt": "WorkflowID: a"}, "does not contain modelPolicy"),
        (
            {"ion-details.txt": None, "MLApp-details.txt": "{}"},
            "MLApp-details.txt of the capture cannot be read",
        ),
        ({TRAIN: ""}, "has no column pipelineInstanceId"),
        ({TRAIN: "time,name\n"}, "has no column pipelineInstanceId, agentName, graphType, value"),
        ({TRAIN: statistics() + '"a","b"\n'}, "line 2: 2 fields for 10 columns"),
        ({TRAIN: statistics() + '"a","b'}, "unexpected end of data"),
        ({TRAIN: statistics(statistic(0, "PIE", "x", {}))}, "graph type 'PIE'; known graph types: BARGRAPH"),
        ({TRAIN: statistics(statistic(0, "continuous", "x", {}))}, "graph type 'continuous'"),
        ({TRAIN: statistics(statistic(0, "LINEGRAPH", "x", "{"))}, "statistic 'x' .* not a LINEGRAPH"),
        ({TRAIN: statistics(statistic(0, "LINEGRAPH", "x", "[1]"))}, "it must be a JSON object"),
        ({TRAIN: statistics(statistic(0, "BARGRAPH", "x", {"x": [1]}))}, "a value that is not a BARGRAPH"),
        (
            {TRAIN: statistics(["p", "soon", "h", "j", "LINEGRAPH", 0, "m", "x", "{}", ""])},
            "its time is not a number",
        ),
        ({TRAIN: statistics(["p", 2**70, "h", "j", "LINEGRAPH", 0, "m", "x", "{}", ""])}, "column time"),
        ({SYSTEM: "time,bytesRead\n1,many\n"}, "column bytesRead"),
        ({SYSTEM: "time\n\x00\n"}, SYSTEM),
        ({EVENTS: "time,host,event,eventType,raiseAlert\n,h,e,t,0\n"}, "column time"),
    ],
)
def test_files_that_are_missing_or_broken(tmp_path: Path, files: dict[str, str | None], message: str) -> None:
    changed = whole_capture() | files
    archive = write_tar(
        tmp_path / "c.tar", {name: text for name, text in changed.items() if text is not None}
    )
    refused(archive, message)


def test_texts_that_are_not_utf8(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "c.tar", whole_capture())
    with tarfile.open(archive, "a") as tar:
        member = tarfile.TarInfo(f"{FOLDER}/mlopsdb-events-more.csv")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"\xff\xfe"))
    refused(archive, "mlopsdb-events-more.csv of the capture cannot be read")


def test_a_capture_without_statistics_and_one_without_events(tmp_path: Path) -> None:
    details = {"ion-details.txt": whole_capture()["ion-details.txt"]}
    refused(write_tar(tmp_path / "c.tar", details), "has no file mlopsdb-Ion-stats")
    capture = mlops.load_time_capture(write_tar(tmp_path / "d.tar", details | {TRAIN: statistics()}))
    assert capture.get_attribute_names_list() == []
    with pytest.raises(MLOpsException, match="has no file mlopsdb-events"):
        capture.get_events()
    capture.done()


def test_missing_numbers_of_events_are_kept_as_missing(tmp_path: Path) -> None:
    row = event(0, "GenericEvent", "x")
    row[-1] = "NULL"
    header = whole_capture()[EVENTS].splitlines()[0]
    text = ",".join(f'"{cell}"' for cell in row)
    files = whole_capture() | {EVENTS: f"{header}\n{text}\n"}
    capture = mlops.load_time_capture(write_tar(tmp_path / "c.tar", files))
    found = capture.get_events()
    assert found is not None
    assert found["deletedTime"].isna().all()
    capture.done()


def test_without_pandas_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    refused(write_tar(tmp_path / "c.tar", whole_capture()), r"pip install 'mcenter-stream\[metrics\]'")


@given(
    graph_type=st.sampled_from(["LINEGRAPH", "BARGRAPH", "MATRIX", "GENERAL_GRAPH", "OPAQUE", "KPI", "PIE"]),
    value=st.text(max_size=30) | st.from_regex(r'\{"x": ?(\[|\{|1|null)[\]\},:"a1]{0,6}', fullmatch=True),
)
def test_no_value_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, graph_type: str, value: str
) -> None:
    file = tmp_path_factory.mktemp("rows") / TRAIN
    file.write_text(
        statistics(statistic(0, graph_type, "x", value)), encoding="utf-8", errors="replace", newline=""
    )
    try:
        found = read_statistics([file])
    except MLOpsException:
        return
    assert len(found) >= 1
    assert all(len(keys) == len(values) for keys, values in zip(found["keys"], found["values"], strict=True))
