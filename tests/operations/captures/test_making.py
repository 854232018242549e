"""A capture holds everything of its range, in the original's files and in tables, and a report that needs nothing else."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import tarfile
from typing import TYPE_CHECKING

import pytest
from pyarrow import parquet

from parallelm.mlops import mlops
from parallelm.operations.captures import (
    CaptureRecord,
    CaptureRequest,
    CaptureState,
    download_capture,
    make_capture,
    new_capture,
)
from parallelm.operations.errors import CaptureError, UnknownMLAppError
from parallelm.schemas.captures import CaptureArchive, names
from tests.operations.captures.installations import COUNTED, DAY_MS, END_MS, HTML, START_MS
from tests.people import person
from tests.sinks.samples import T0_MS

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.sinks.conftest import Platform


def request(**changes: object) -> CaptureRequest:
    from datetime import UTC, datetime, timedelta

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    start, end = (epoch + timedelta(milliseconds=each) for each in (START_MS, END_MS))
    made = CaptureRequest(mlapp_id="app", start=start, end=end, who=person("ada"), name="the june")
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def take(settings: Settings, **changes: object) -> CaptureRecord:
    return make_capture(settings, new_capture(settings, request(**changes)))


@pytest.fixture(scope="module")
def record(source: Platform) -> CaptureRecord:
    return take(source.settings)


@pytest.fixture(scope="module")
def file(source: Platform, record: CaptureRecord, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return download_capture(source.settings, record.capture_id, tmp_path_factory.mktemp("file"))


def content(file: Path, name: str) -> bytes:
    with tarfile.open(file) as tar:
        found = tar.extractfile(name)
        assert found is not None
        return found.read()


def test_every_row_of_the_range_is_in_a_table(record: CaptureRecord, file: Path):
    assert (record.state, record.share, record.rows) == (CaptureState.COMPLETE, 1.0, COUNTED)
    assert file.name == "timeline_capture_the june_app.tar"
    for table, count in COUNTED.items():
        read = parquet.read_table(io.BytesIO(content(file, names.table_member(table))))
        assert read.num_rows == count, table
        assert {"_topic", "_offset", "ingested_at"} <= set(read.column_names), table
    rows = parquet.read_table(io.BytesIO(content(file, names.table_member("statistics")))).to_pylist()
    edge = next(row for row in rows if row["name"] == "edge")
    assert (edge["event_time"].timestamp() * 1000, edge["value"], edge["seq"], edge["_series"]) == (
        T0_MS,
        1.0,
        21,
        1,
    )
    odd = next(row for row in rows if row["name"] == "odd “name”")
    assert (dict(odd["labels"]), odd["value"], odd["agent_id"]) == ({"carrier": "UA"}, float("inf"), "host-1")
    events = parquet.read_table(io.BytesIO(content(file, names.table_member("events")))).to_pylist()
    assert {row["data"] for row in events} == {b"\xff\x00\x80", b'{"a": "b"}'}
    versions = parquet.read_table(io.BytesIO(content(file, names.table_member("mlapps")))).to_pylist()
    assert [row["version"] for row in versions] == [1, 2], "the one in force at the start, and the one after"
    models = parquet.read_table(io.BytesIO(content(file, names.table_member("models")))).to_pylist()
    assert {row["model_id"] for row in models} == {"m-0", "m-1"}, "also the model that was live when it began"


def test_the_manifest_names_every_member(file: Path, tmp_path: Path):
    with CaptureArchive(file) as archive:
        assert archive.manifest is not None
        listed = {each.name: each for each in archive.manifest.members}
        assert set(archive.names) == {*listed, names.MANIFEST}
        assert listed[names.table_member("kpis")].rows == COUNTED["kpis"]
        assert (archive.manifest.start_ms, archive.manifest.end_ms) == (START_MS, END_MS)
        archive.extract(tmp_path, names.EXPORT, names.OURS)
    assert (tmp_path / names.definition_member(2)).read_text().endswith("# 2\n")


def test_old_programs_find_the_originals_files_with_their_columns(file: Path):
    text = content(file, names.DETAILS).decode()
    assert text == (
        "WorkflowID: app wfNodes: [PipelineID: pi-1 GroupID: predict Mode: offline Type: model_consumer], "
        "modelPolicy: CANARY"
    )
    headers = {
        "mlopsdb-Ion-stats-app-Instance-pi-1-Agent-host-1.csv": names.STATISTICS_COLUMNS,
        "mlopsdb-Ion-sysstats-app-Instance-pi-1-Agent-host-1.csv": names.SYSTEM_COLUMNS,
        "mlopsdb-events-app.csv": names.EVENTS_COLUMNS,
        "mlopsdb-aggregates-app.csv": names.AGGREGATES_COLUMNS,
    }
    with tarfile.open(file) as tar:
        inside = {name.partition("/")[2] for name in tar.getnames() if name.startswith(f"{names.EXPORT}/")}
    assert inside == {"ion-details.txt", *headers}
    for name, columns in headers.items():
        lines = list(csv.reader(io.StringIO(content(file, f"{names.EXPORT}/{name}").decode())))
        assert lines[0] == list(columns), name
        assert {len(line) for line in lines} == {len(columns)}, name


def test_the_component_library_reads_it(file: Path):
    capture = mlops.load_time_capture(file)
    assert (capture.get_mlapp_id(), capture.get_mlapp_policy(), capture.get_nodes()) == (
        "app",
        "CANARY",
        ["pi-1"],
    )
    counts = capture.get_stats("pipelinestat.count")
    assert counts is not None
    assert [each[0] for each in counts["values"][:2]] == [100, 50]
    assert counts["time"].tolist()[0] == T0_MS * 1_000_000
    latency = capture.get_stats("latency")
    assert latency is not None
    assert list(zip(latency["keys"], latency["values"], strict=True)) == [
        (["worst", "median"], [1, 1]),
        (["worst", "median"], [2, 2]),
    ], "lines that were reported together are one report"
    odd = capture.get_stats("odd “name”")
    assert odd is not None
    assert (odd["keys"][0], odd["values"][0]) == (['odd “name”{carrier="UA"}'], [float("inf")])
    rates = capture.get_kpi("rate")
    assert sorted(zip(rates["keys"].str[0], rates["values"].str[0], strict=True)) == [
        ("rate", 0.8),
        ('rate{carrier="UA"}', 0.5),
    ], "the latest revision"
    assert capture.get_kpi("gone").empty
    page, blob = capture.get_stats("page"), capture.get_stats("blob")
    assert page is not None
    assert blob is not None
    assert (page["values"][0], blob["values"][0]) == ([HTML], ["/wA="])
    events = capture.get_events()
    assert events is not None
    assert sorted(events["eventType"]) == ["Alert", "GenericDataAlert", "ModelAccepted"]
    alert = events[events["eventType"] == "Alert"].iloc[0]
    assert (alert["createdTime"], alert["clearedTime"]) == (T0_MS + 1, T0_MS + DAY_MS)
    (totals,) = capture.get_aggregate_df_file().values()
    last = totals.iloc[-1]
    assert (last["totalPredictions"], last["totalModelsProduced"], last["totalModelsUpdated"]) == (150, 1, 1)
    capture.done()


def test_the_report_stands_alone_and_says_what_happened(file: Path):
    html = content(file, names.REPORT).decode()
    assert not re.search(r"<script|<link|<img|<iframe|url\(|@import|\bon\w+=|https?://", html)
    assert "default-src 'none'" in html
    assert "@media print" in html
    assert "prefers-color-scheme: dark" in html
    assert "<temp>" not in html
    assert "<b>" not in html, "what components wrote is escaped"
    for said in (
        "9 samples of 5 series came from 1 node on 1 host, and 150 predictions were made.",
        "KPI rate has 1 point with a mean of 0.8",
        "On node predict were live: old from before the range began; classifier from 2013-05-31 11:33.",
        "1 alert was open in this time (slow once); 0 of them were still open at its end.",
        "someone acted 1 time.",
        "because superseded",
    ):
        assert said in html, said
    assert html.count("<svg") >= 5


def test_progress_is_told_and_stored(source: Platform):
    told: list[CaptureRecord] = []
    record = make_capture(source.settings, new_capture(source.settings, request(name="again")), told.append)
    shares = [each.share for each in told]
    assert shares == sorted(shares)
    assert 0 < max(shares) < 1
    assert {each.state for each in told} == {CaptureState.IN_PROGRESS}
    assert any("statistics" in each.step for each in told)
    assert json.loads(record.to_json())["state"] == "complete"


def test_a_range_in_which_nothing_happened_is_captured_and_read(source: Platform, tmp_path: Path):
    record = take(source.settings, start="2001-01-01", end="2001-01-02", name="empty")
    assert record.rows["statistics"] == 0
    assert record.rows["mlapps"] == 1, "the first definition there was, when none was in force"
    file = download_capture(source.settings, record.capture_id, tmp_path)
    capture = mlops.load_time_capture(file)
    assert capture.get_nodes() == ["predict"]
    assert capture.get_attribute_names_list() == []
    assert "No alert was open." in content(file, names.REPORT).decode()
    capture.done()


def test_what_cannot_be_captured_is_said(source: Platform):
    with pytest.raises(UnknownMLAppError, match="nothing of an MLApp 'other' is stored"):
        new_capture(source.settings, request(mlapp_id="other"))
    with pytest.raises(CaptureError, match="needs a start before its end"):
        new_capture(source.settings, request(end=None))
    with pytest.raises(CaptureError, match="is after the end"):
        new_capture(source.settings, request(start="2014-01-01"))
