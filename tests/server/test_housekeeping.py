"""What a running server does by itself."""

from __future__ import annotations

import dataclasses
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from parallelm.connections import CapturesSettings, Settings
from parallelm.operations.captures import CaptureRecord, CaptureState
from parallelm.operations.captures.store import CaptureStore
from parallelm.operations.topic_records import read_records
from parallelm.schemas.topic_reader import StartPoint
from parallelm.schemas.topics import ACTIONS
from parallelm.server.housekeeping import keeping_house
from parallelm.server.run import listen, make_context, run_server
from parallelm.supervision.service_frame import Stop
from tests.server.accounts import opened_database
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.server.accounts.database import Database

DAY_MS = 86_400_000


@pytest.fixture
def own(topics: Settings, tmp_path: Path) -> Settings:
    """With a topic for what is recorded, and a store of captures."""
    captures = CapturesSettings(url=str(tmp_path / "kept"), keep_days=30)
    return dataclasses.replace(topics, captures=captures)


def stored(settings: Settings, name: str, age_days: int) -> CaptureRecord:
    """A complete capture of so long ago."""
    made_ms = time.time_ns() // 1_000_000 - age_days * DAY_MS
    record = CaptureRecord(
        capture_id=name,
        name=name,
        mlapp_id="flights",
        start_ms=0,
        end_ms=1,
        created_by="ada",
        created_at_ms=made_ms,
        state=CaptureState.COMPLETE,
    )
    store = CaptureStore(settings)
    store.write(record)
    with store.open_to_write(record) as file:
        file.write(b"rows")
    return record


def files(settings: Settings) -> set[str]:
    return {path.name for path in Path(settings.captures.url).rglob("*") if path.is_file()}


@contextmanager
def running(settings: Settings, database: Database) -> Iterator[None]:
    """A server process's work, in a thread."""
    stop, ready = Stop(), threading.Event()
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(
            target=run_server, args=(make_context(settings, database), listener, stop, ready.set)
        )
        thread.start()
        try:
            assert ready.wait(120)
            yield
        finally:
            stop.set()
            thread.join(120)
    stop.close()


def test_several_servers_delete_what_has_expired_though_nobody_takes_a_capture(own: Settings, tmp_path: Path):
    for number in range(12):
        stored(own, f"old-{number}", age_days=31)
    stored(own, "new", age_days=29)
    with opened_database(f"sqlite:///{tmp_path / 'server.db'}") as database, ExitStack() as servers:
        for _ in range(3):
            servers.enter_context(running(own, database))
        wait_for(lambda: files(own) == {"new.json", "new.tar"}, lambda: str(files(own)))
    deleted = [each.value.target for each in read_records(own, ACTIONS, StartPoint("beginning"))]
    assert set(deleted) == {f"old-{number}" for number in range(12)}


def test_after_a_store_that_cannot_be_read_it_is_asked_again(own: Settings, caplog: pytest.LogCaptureFixture):
    stored(own, "old", age_days=31)
    broken = Path(own.captures.url) / "flights" / "broken.json"
    broken.write_text("{")
    with keeping_house(own, interval_s=0.05):
        wait_for(lambda: "broken.json cannot be read" in caplog.text)
        broken.unlink()
        wait_for(lambda: not files(own))
