"""``mcenter captures``: what a person types and reads."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from parallelm.connections import CapturesSettings, save_settings
from parallelm.mcenter.cli import cli
from parallelm.operations.captures.record import parse_record
from parallelm.operations.captures.store import CaptureStore
from tests.operations.captures.installations import COUNTED, DAY_MS
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sinks.conftest import Platform

CREATE = ("captures", "create", "app", "--from", "2013-05-30", "--to", "2013-06-02", "--name", "june")


@pytest.fixture
def mcenter(source: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command with a store of this test's own."""
    own = dataclasses.replace(
        source.settings, captures=CapturesSettings(url=str(tmp_path / "kept"), keep_days=30)
    )
    save_settings(own, tmp_path / "mcenter.toml")
    monkeypatch.setenv("MCENTER_CONFIG", str(tmp_path / "mcenter.toml"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, exit_code: int = 0) -> str:
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == exit_code, result.output
        return result.output

    return run


def test_a_capture_from_its_making_to_its_end(mcenter: Callable[..., str], tmp_path: Path):
    assert "there is no capture" in mcenter("captures", "list")
    said = mcenter(*CREATE)
    assert f"{sum(COUNTED.values()) + 1} rows" in said, "one statistic more than from START_MS on"
    capture_id = said.split()[1].rstrip(":")
    line = mcenter("captures", "list", "--mlapp", "app").splitlines()[1]
    for part in (capture_id, "june", "2013-05-30 00:00:00", "complete"):
        assert part in line
    (shown,) = json.loads(mcenter("captures", "list", "--format", "json"))
    assert shown["rows"] == COUNTED | {"statistics": COUNTED["statistics"] + 1}
    assert shown["kept_until"] > shown["created_at"]
    assert "  kpis: 5 rows" in mcenter("captures", "show", capture_id[:-4])
    assert "timeline_capture_june_app.tar: " in mcenter("captures", "download", capture_id)
    assert "exists: remove it, or name another" in mcenter("captures", "download", capture_id, exit_code=1)
    mcenter("captures", "download", capture_id, "-o", "other.tar")
    assert (tmp_path / "other.tar").read_bytes() == (tmp_path / "timeline_capture_june_app.tar").read_bytes()
    assert f"deleted capture {capture_id}" in mcenter("captures", "delete", capture_id)
    assert "no captures have an id" in mcenter("captures", "show", capture_id, exit_code=1)


def test_one_in_the_background_is_followed_and_old_ones_go(
    mcenter: Callable[..., str], source: Platform, tmp_path: Path
):
    capture_id = mcenter(*CREATE, "--detach").split()[1]
    wait_for(lambda: "state: complete" in mcenter("captures", "show", capture_id))
    assert "no capture is older" in mcenter("captures", "delete", "--expired")
    (file,) = (tmp_path / "kept" / "app").glob("*.json")
    record = parse_record(file.read_text())
    own = dataclasses.replace(source.settings, captures=CapturesSettings(url=str(tmp_path / "kept")))
    aged = dataclasses.replace(record, created_at_ms=record.created_at_ms - 30 * DAY_MS)
    CaptureStore(own).write(aged)
    assert "expired" in mcenter("captures", "list")
    new_id = mcenter(*CREATE, "--who", "grace").split()[1].rstrip(":")
    assert len(list((tmp_path / "kept" / "app").iterdir())) == 2, "the new one"
    tailed = mcenter("tail", "actions", "--json").splitlines()
    done = [json.loads(line)["value"] for line in tailed if line.startswith("{")]
    told = [(each["action"], each["who"], each["authenticated_by"], each["comment"]) for each in done]
    (taken,) = [each for each in done if each["target"] == new_id]
    assert (taken["action"], taken["mlapp_id"], taken["who"]) == ("take_capture", "app", "grace")
    gone = ("delete_capture", "grace", "unverified_local_user", "older than the retention allows")
    assert told[-1] == gone


def test_what_is_typed_wrong_is_said(mcenter: Callable[..., str]):
    assert "nothing of an MLApp 'other' is stored" in mcenter(
        "captures", "create", "other", "--from", "2013-05-30", "--to", "2013-06-02", exit_code=1
    )
    assert "name captures, or --expired" in mcenter("captures", "delete", exit_code=2)
    assert "Missing option '--to'" in mcenter(
        "captures", "create", "app", "--from", "2013-05-30", exit_code=2
    )
