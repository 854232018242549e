"""``mcenter runs logs``: what the program of a run has written, also while it writes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from parallelm.connections import save_settings
from parallelm.schemas import topics
from parallelm.schemas.records import RunState
from parallelm.warehouse.queries import run_rows
from parallelm.warehouse.queries.logs import log_lines
from tests.server.commands import Commands
from tests.server.run_records import FAILED, LINES, SERVING, lines_of, send, transition
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings


@pytest.fixture
def itself(platform: Settings, nightly: str, tmp_path: Path) -> Commands:
    """Commands of somebody who reads ClickHouse."""
    assert nightly
    save_settings(platform, tmp_path / "mcenter.toml")
    return Commands(tmp_path)


def test_the_last_lines_of_a_run_are_printed_and_searched(itself: Commands):
    last = itself("runs", "logs", SERVING[:6], "--lines", "2").splitlines()
    assert last == [
        f"scored {LINES - 1} customers in {(LINES - 1) % 7}0 ms",
        "model nightly-model-1 <b>answers</b>",
    ]
    assert len(itself("runs", "logs", SERVING).splitlines()) == 200
    assert itself("runs", "logs", SERVING, "--search", "SCORED 17 ") == "scored 17 customers in 30 ms\n"
    assert itself("runs", "logs", FAILED, "--search", "no such text") == ""
    assert "there is no run 'none'" in itself("runs", "logs", "none", exit_code=1)


def test_a_log_is_followed_until_its_run_has_ended(itself: Commands, platform: Settings):
    now_ms = time.time_ns() // 1_000_000
    run_id = "f0330000000000"
    own = {"mlapp_id": "followed"}
    about = {"agent_id": "web-1", **own}
    running = transition(run_id, "serve", RunState.RUNNING, now_ms - 60_000, **about)
    first = lines_of(run_id, "serve", 1, ["early"], now_ms - 50_000, **own)
    send(platform, (topics.RUNS, running), (topics.LOGS, first))
    wait_for(lambda: run_rows(platform, run_id=run_id, **own), "the run is not stored")
    wait_for(lambda: log_lines(platform, run_id=run_id, limit=1, **own), "the line is not stored")
    # It ended 30 s ago: all that it has written has come.
    ended = transition(run_id, "serve", RunState.STOPPED, now_ms - 30_000, due_at_ms=now_ms, **about)
    late = lines_of(run_id, "serve", 5, ["late", "last"], now_ms - 40_000, dropped=3, **own)

    def go_on() -> None:
        send(platform, (topics.LOGS, late))
        wait_for(
            lambda: len(log_lines(platform, run_id=run_id, limit=9, **own)) == 3, "the lines are not stored"
        )
        send(platform, (topics.RUNS, ended))

    end = threading.Timer(0.5, go_on)
    end.start()
    said = itself("runs", "logs", run_id, "--follow").splitlines()
    end.join()
    assert said == ["early", "… 3 lines were not sent", "late", "last"]
    assert itself("runs", "logs", run_id, "-f", "-n", "1") == "last\n"
