"""Captures from their making to their end: progress, death of the maker, tampering in the store, retention."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import psutil
import pytest
from clickhouse_driver.errors import NetworkError

from parallelm.connections import CapturesSettings
from parallelm.operations import captures
from parallelm.operations.captures import CaptureState, makers
from parallelm.operations.captures.store import CaptureStore
from parallelm.operations.errors import CaptureError, CaptureStateError, UnknownCaptureError
from tests.operations.captures.installations import COUNTED, DAY_MS
from tests.operations.captures.test_making import request, take
from tests.people import person
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.operations.captures import CaptureRecord
    from tests.sinks.conftest import Platform


@pytest.fixture
def settings(source: Platform, tmp_path: Path) -> Settings:
    """Of the installation, with a store of this test's own."""
    return dataclasses.replace(source.settings, captures=CapturesSettings(url=str(tmp_path / "kept")))


def test_a_capture_is_made_in_the_background(settings: Settings, tmp_path: Path):
    record = captures.start_capture(settings, request())
    assert record.state is CaptureState.IN_PROGRESS
    assert record.pid != os.getpid()

    def ended() -> CaptureRecord | None:
        found = captures.find_capture(settings, record.capture_id)
        return None if found.state is CaptureState.IN_PROGRESS else found

    done = wait_for(ended)
    assert (done.state, done.reason, done.rows) == (CaptureState.COMPLETE, "", COUNTED)
    assert captures.download_capture(settings, record.capture_id, tmp_path).stat().st_size == done.size_bytes
    wait_for(lambda: not psutil.pid_exists(record.pid), "the maker stays behind")


def test_a_maker_that_was_killed_has_failed(settings: Settings):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as maker:
        record = captures.new_capture(settings, request())
        began = psutil.Process(maker.pid).create_time()
        CaptureStore(settings).write(dataclasses.replace(record, pid=maker.pid, started_at_s=began))
        assert captures.find_capture(settings, record.capture_id).state is CaptureState.IN_PROGRESS
        maker.send_signal(signal.SIGKILL)
        found = wait_for(
            lambda: [each for each in captures.list_captures(settings) if each.state is CaptureState.FAILED]
        )
    assert f"process {maker.pid} on" in found[0].reason
    assert "has ended without finishing it: take it again" in found[0].reason
    with pytest.raises(CaptureStateError, match="has failed: its maker"):
        captures.download_capture(settings, record.capture_id, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"host": "elsewhere"}, CaptureState.IN_PROGRESS),
        ({"host": "elsewhere", "updated_at_ms": -61_000}, CaptureState.FAILED),
        ({"started_at_s": 1.0}, CaptureState.FAILED),
    ],
)
def test_a_maker_is_believed_as_long_as_it_reports(
    settings: Settings, changes: dict[str, object], state: CaptureState
):
    record = captures.new_capture(settings, request())
    if "updated_at_ms" in changes:
        changes = changes | {"updated_at_ms": record.updated_at_ms - 61_000}
    CaptureStore(settings).write(dataclasses.replace(record, **changes))  # type: ignore[arg-type]
    assert captures.find_capture(settings, record.capture_id).state is state


def test_why_it_failed_is_kept_and_nothing_half_is_left(settings: Settings, tmp_path: Path):
    record = captures.new_capture(settings, request())
    away = dataclasses.replace(settings, clickhouse=dataclasses.replace(settings.clickhouse, port=1))
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:1"):
        captures.make_capture(away, record)
    found = captures.find_capture(settings, record.capture_id)
    assert found.state is CaptureState.FAILED
    assert "127.0.0.1:1" in found.reason
    assert [each.suffix for each in (tmp_path / "kept" / "app").iterdir()] == [".json"]


def test_deleting_one_that_is_made_gives_it_up(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(makers, "BEAT_S", 0.02)
    record = captures.new_capture(settings, request())
    deleted: list[CaptureRecord] = []

    def delete(now: CaptureRecord) -> None:
        if not deleted:
            deleted.append(captures.delete_capture(settings, now.capture_id, who=person("ada")))
            wait_for(lambda: not progress_runs())

    def progress_runs() -> bool:
        return any(each.name == "capture-progress" for each in threading.enumerate())

    with pytest.raises(CaptureError, match="was deleted while it was made"):
        captures.make_capture(settings, record, delete)
    assert list((tmp_path / "kept" / "app").iterdir()) == []
    assert captures.list_captures(settings) == []


def test_what_was_changed_in_the_store_is_not_downloaded(settings: Settings, tmp_path: Path):
    record = take(settings)
    (file,) = (tmp_path / "kept" / "app").glob("*.tar")
    data = bytearray(file.read_bytes())
    data[600] ^= 1
    file.write_bytes(data)
    with pytest.raises(CaptureError, match="is not as it was made: its SHA-256 is"):
        captures.download_capture(settings, record.capture_id, tmp_path)
    assert not list(tmp_path.glob("timeline_capture*"))
    captures.delete_capture(settings, record.capture_id, who=person("ada"))
    assert list((tmp_path / "kept" / "app").iterdir()) == []


def test_captures_are_found_by_mlapp_and_by_the_beginning_of_their_id(settings: Settings, tmp_path: Path):
    first, second = captures.new_capture(settings, request()), captures.new_capture(settings, request())
    assert {each.capture_id for each in captures.list_captures(settings, "app")} == {
        first.capture_id,
        second.capture_id,
    }
    assert captures.list_captures(settings, "ap") == []
    assert captures.find_capture(settings, second.capture_id[:-2]).capture_id == second.capture_id
    with pytest.raises(UnknownCaptureError, match="no captures have an id that begins with 'x'"):
        captures.find_capture(settings, "x")
    with pytest.raises(UnknownCaptureError, match="2 captures have an id"):
        captures.find_capture(settings, second.capture_id[:8])
    with pytest.raises(CaptureStateError, match=r"is being made \(0%\)"):
        captures.download_capture(settings, second.capture_id, tmp_path)


def test_the_retention_deletes_captures(settings: Settings, tmp_path: Path):
    old, new = take(settings), captures.new_capture(settings, request())
    aged = dataclasses.replace(old, created_at_ms=old.created_at_ms - 365 * DAY_MS)
    CaptureStore(settings).write(aged)
    assert captures.expires_at_ms(aged, settings) == old.created_at_ms
    states = {each.capture_id: each.state for each in captures.list_captures(settings)}
    assert states == {old.capture_id: CaptureState.EXPIRED, new.capture_id: CaptureState.IN_PROGRESS}
    with pytest.raises(CaptureStateError, match="older than the retention allows"):
        captures.download_capture(settings, old.capture_id, tmp_path)
    forever = dataclasses.replace(settings, captures=dataclasses.replace(settings.captures, keep_days=0))
    assert captures.expires_at_ms(aged, forever) is None
    assert captures.delete_expired(forever, who=person("ada")) == []
    assert [each.capture_id for each in captures.delete_expired(settings, who=person("ada"))] == [
        old.capture_id
    ]
    assert [each.capture_id for each in captures.list_captures(settings)] == [new.capture_id]
    assert [each.suffix for each in (tmp_path / "kept" / "app").iterdir()] == [".json"]


def test_captures_in_a_bucket(source: Platform, tmp_path: Path):
    settings = dataclasses.replace(source.settings, captures=CapturesSettings(url="memory://bucket/captures"))
    record = take(settings)
    file = captures.download_capture(settings, record.capture_id, tmp_path)
    assert file.stat().st_size == record.size_bytes
    with pytest.raises(CaptureError, match="exists: remove it, or name another file"):
        captures.download_capture(settings, record.capture_id, tmp_path)
    captures.delete_capture(settings, record.capture_id, who=person("ada"))
    assert captures.list_captures(settings) == []


def test_a_store_that_does_not_answer_is_named_without_its_password(source: Platform):
    url = "ftp://ada:secret@127.0.0.1:1/captures"
    settings = dataclasses.replace(source.settings, captures=CapturesSettings(url=url))
    with pytest.raises(CaptureError, match=r"127\.0\.0\.1:1/captures") as raised:
        captures.list_captures(settings)
    assert "secret" not in str(raised.value)
