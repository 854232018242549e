"""What goes on after it was asked for: captures are imported, MLApps erased, by REST, by command and from pages."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from parallelm.connections import save_settings
from parallelm.server.access.matrix import ADMIN, DATA_SCIENTIST, OPERATOR, VIEWER
from parallelm.server.accounts import tasks
from parallelm.server.accounts.database import Database
from parallelm.server.accounts.tasks import Order
from parallelm.server.errors import TaskGoesOnError, UnknownTaskError
from tests.server.browser.looking import assert_accessible, take_pictures
from tests.server.commands import Commands, actions
from tests.server.seed import MLAPP
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page

    from parallelm.connections import Settings

API = "/api/v1"
IMPORTED = "from-elsewhere"


@pytest.fixture(scope="module")
def capture(platform: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture's file."""
    folder = tmp_path_factory.mktemp("capture")
    save_settings(platform, folder / "mcenter.toml")
    itself = Commands(folder)
    made = itself("captures", "create", MLAPP, "--from", "2026-05-01", "--to", "2026-06-15").split()[1]
    itself("captures", "download", made.rstrip(":"), "-o", str(folder / "taken.tar"))
    itself("captures", "delete", made.rstrip(":"))
    return folder / "taken.tar"


def test_a_capture_is_imported_and_erased_by_commands(
    commands: Commands, client: httpx.Client, capture: Path
):
    history = {"mlapp_id": IMPORTED}
    assert client.get(f"{API}/alerts", params=history).json()["items"] == []
    said = commands("captures", "import", str(capture), "--mlapp", IMPORTED)
    assert re.search(
        rf"imported capture \S+ as MLApp '{IMPORTED}': [1-9]\d* records sent, 0 rows known", said
    )
    assert client.get(f"{API}/alerts", params=history).json()["items"]
    again = commands("captures", "import", str(capture), "--mlapp", IMPORTED)
    assert re.search(r": 0 records sent, [1-9]\d* rows known before", again)
    assert f"MLApp {MLAPP!r} is defined here" in commands("captures", "import", str(capture), exit_code=1)

    erase = ("erase", "--mlapp", IMPORTED)
    seen = commands(*erase, "--dry-run")
    assert re.search(r"rows of alert_transitions_log +[1-9]", seen)
    assert "Kafka holds" in seen
    said = commands(*erase, "--yes", "--comment", "it was a test")
    assert f"erased MLApp {IMPORTED}; the audit log has a record of it, by ada\n" in said
    assert client.get(f"{API}/alerts", params=history).json()["items"] == []
    assert f"there is nothing of MLApp {IMPORTED}" in commands(
        "erase", "--mlapp", IMPORTED, "--yes", exit_code=1
    )
    wait_for(lambda: actions(client, action="erase", target=f"MLApp {IMPORTED}"), "the log does not tell")
    (done,) = actions(client, action="erase", target=f"MLApp {IMPORTED}")
    assert (done["who"], done["authenticated_by"], done["comment"]) == ("ada", "token", "it was a test")


def test_what_is_no_capture_is_refused_at_once(client: httpx.Client):
    sent = client.post(f"{API}/mlapps/{IMPORTED}/capture-imports", files={"file": ("a.tar", b"not a tar")})
    assert sent.status_code == 422, sent.text
    assert sent.json()["type"] == "urn:mcenter:problem:capture-file"


@pytest.mark.parametrize("mlapp_id", ["*", "hosts", "a b"])
def test_what_no_mlapp_is_called_gets_no_history(
    client_as: Callable[[str], httpx.Client], capture: Path, mlapp_id: str
):
    client, file = client_as(DATA_SCIENTIST), {"file": ("a.tar", capture.read_bytes())}
    called = client.post(f"{API}/mlapps/{mlapp_id}/capture-imports", files=file)
    page = client.post(f"/mlapps/{MLAPP}/captures/import", data={"as_mlapp": mlapp_id}, files=file)
    for refused in (called, page):
        assert refused.status_code == 422, refused.text
        assert "no MLApp can have this id" in refused.json()["detail"]


def test_nothing_is_erased_that_was_not_named_again(client: httpx.Client):
    wanted = {"mlapp_id": MLAPP, "confirm": "yes"}
    refused = client.post(f"{API}/erasures", json=wanted)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:mcenter:problem:not-confirmed")
    assert f"confirm must be 'MLApp {MLAPP}'" in refused.json()["detail"]
    for wrong in ({}, {"mlapp_id": MLAPP, "label": "a=b"}):
        assert client.get(f"{API}/erasures/preview", params=wrong).status_code == 422
    found = client.get(f"{API}/erasures/preview", params={"mlapp_id": MLAPP}).json()
    assert (found["confirm"], found["is_defined"]) == (f"MLApp {MLAPP}", True)
    assert sum(found["rows"].values()) > 0
    assert {each["until"] is None for each in found["held"]} >= {False}
    label = client.get(f"{API}/erasures/preview", params={"label": "customer=nobody"}).json()
    assert (label["rows"], label["confirm"]) == ({}, "label customer=nobody")


def test_a_capture_is_imported_and_erased_from_pages(
    page: Page, client_as: Callable[[str], httpx.Client], capture: Path
):
    page.goto(f"/mlapps/{MLAPP}/captures")
    page.get_by_role("button", name="Import").click()
    page.get_by_label("File").set_input_files(capture)
    page.get_by_label("As MLApp").fill("by-page")
    page.get_by_role("dialog").get_by_role("button", name="Import").click()
    expect(page.get_by_role("link", name="Its history")).to_be_visible(timeout=60_000)
    assert_accessible(page)
    take_pictures(page, "task")
    task_id = page.url.rpartition("/")[2]
    assert client_as(ADMIN).get(f"{API}/tasks/{task_id}").json()["mlapp_id"] == "by-page"
    assert client_as(OPERATOR).get(f"{API}/tasks/{task_id}").status_code == 200
    for role in (VIEWER, DATA_SCIENTIST):
        assert client_as(role).get(f"{API}/tasks/{task_id}").status_code == 404, "others' tasks are not shown"

    page.goto("/erase")
    page.get_by_label("MLApp", exact=True).fill("by-page")
    page.get_by_role("button", name="Show what there is").click()
    page.get_by_role("region", name="What would go").get_by_text("rows of alert_transitions_log").wait_for()
    assert_accessible(page)
    take_pictures(page, "erase")
    page.get_by_role("button", name="Erase it").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Say what is erased").fill("MLApp by-page")
    dialog.get_by_role("button", name="Erase").click()
    expect(page.get_by_text("complete")).to_be_visible(timeout=90_000)
    assert "rows of alert_transitions_log" in page.get_by_role("region", name="What that was").inner_text()


def test_of_a_kind_one_task_goes_on_and_one_whose_process_ended_has_failed(url: str):
    order = Order(kind="erase", about="MLApp a", asked_by="ada")
    now_ms = time.time_ns() // 1_000_000
    database = Database(url)
    try:
        first = tasks.begin(database, order, now_ms)
        with pytest.raises(TaskGoesOnError, match="one erase at a time"):
            tasks.begin(database, order, now_ms + 1_000)
        other = tasks.begin(database, Order(kind="import_capture", about="", asked_by="ada"), now_ms)
        tasks.report(database, first, 0.5, "erases rows", now_ms + 50_000)
        assert tasks.find(database, first, now_ms + 70_000).share == 0.5
        assert tasks.find(database, other, now_ms + 70_000).state == tasks.FAILED
        late_ms = now_ms + 120_000
        second = tasks.begin(database, order, late_ms)
        gone = tasks.find(database, first, late_ms)
        assert (gone.state, gone.reason) == (
            "failed",
            "the server ended in the middle of it: begin it again, it goes on where it was",
        )
        tasks.end(database, second, late_ms, result={"rows": {"events_log": 3}})
        tasks.report(database, second, 0.1, "late", late_ms)
        done = tasks.find(database, second, late_ms)
        assert (done.state, done.share, done.result) == ("complete", 1.0, '{"rows": {"events_log": 3}}')
        tasks.end(database, tasks.begin(database, order, late_ms), late_ms, reason="no disk")
        month_ms = late_ms + tasks.KEEP_MS + 1
        tasks.begin(database, order, month_ms)
        with pytest.raises(UnknownTaskError):
            tasks.find(database, first, month_ms)
    finally:
        database.close()
