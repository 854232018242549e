"""Pages about KPIs, in a real browser and by role: files are read before anything is sent, and points taken back."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from parallelm.server.access.limits import BODY_BYTES
from parallelm.server.access.matrix import VIEWER
from parallelm.warehouse.queries import kpi_revisions, kpis
from tests.server.browser.looking import assert_accessible, option_of, take_pictures
from tests.server.seed import KPI, MLAPP
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page

    from parallelm.connections import Settings

ROWS = "region;day;sales\nnorth;31.03.2026;1.250,5\nsouth;31.03.2026;980\nnorth;01.04.2026;1.300\n"


@pytest.fixture
def mlapp() -> str:
    return f"sales-{uuid.uuid4().hex[:6]}"


def file_of(folder: Path, text: str, name: str = "sales.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def choose(page: Page, file: Path) -> None:
    page.get_by_label("Drop a CSV or Parquet file here").set_input_files(file)


def known(settings: Settings, mlapp: str) -> list[tuple[str, float]]:
    found = kpis(settings, mlapp_id=mlapp)
    return [
        (str(labels.get("region", "")), value)
        for labels, value in zip(found["labels"], found["value"], strict=True)
    ]


def test_a_file_is_read_and_compared_before_anything_is_sent_and_sent_once(
    page: Page, platform: Settings, mlapp: str, tmp_path: Path
):
    page.goto(f"/mlapps/{mlapp}/kpis/upload")
    assert_accessible(page)
    choose(page, file_of(tmp_path, ROWS))
    problem = page.get_by_role("alert")
    problem.get_by_text("it lacks kpi, timestamp, value").wait_for()
    assert_accessible(page)
    page.get_by_label("Name of the KPI").fill("sales")
    page.get_by_label("Column of the time").fill("day")
    page.get_by_label("Column of the value").fill("sales")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_label("Time zone").blur()
    page.get_by_text("in Europe/Berlin where it names no zone").wait_for()
    send = page.get_by_role("button", name="Send 3 points")
    columns = page.get_by_role("region", name="Columns of the file").locator("tbody tr")
    assert [row.inner_text().split("\t") for row in columns.all()] == [
        ["region", "label"],
        ["day", "time, in Europe/Berlin where it names no zone"],
        ["sales", "value"],
    ]
    first = page.get_by_role("region", name="First points").locator("tbody tr").first
    assert first.inner_text().split("\t") == [
        "sales",
        "2026-03-31 00:00:00",
        "1250",
        "1.250,5",
        "region=north",
    ]
    assert_accessible(page)
    take_pictures(page, "kpi-upload")
    assert known(platform, mlapp) == []

    send.click()
    page.locator(".toast", has_text="3 points were sent.").wait_for()
    points = [("north", 1250.5), ("north", 1300.0), ("south", 980.0)]
    wait_for(lambda: sorted(known(platform, mlapp)) == points, lambda: str(known(platform, mlapp)))
    choose(page, file_of(tmp_path, ROWS))
    page.get_by_text("Nothing to send: all 3 points are known with these values.").wait_for()
    assert page.get_by_role("button", name="Send").count() == 0
    choose(page, file_of(tmp_path, ROWS.replace("980", "990"), "corrected.csv"))
    page.get_by_role("button", name="Send 1 point", exact=True).click()
    page.locator(".toast", has_text="1 point was sent, it revises a known point").wait_for()
    wait_for(lambda: len(kpi_revisions(platform, mlapp_id=mlapp)) == 4)

    page.get_by_role("link", name="sales", exact=True).click()
    page.get_by_text("2 revisions").click()
    page.get_by_text("corrected.csv").first.wait_for()
    page.get_by_text("980").wait_for()


def test_a_dropped_file_with_bad_lines_is_told_line_by_line(page: Page, platform: Settings, mlapp: str):
    page.goto(f"/mlapps/{mlapp}/kpis/upload")
    page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.items.add(new File([text], "dropped.csv", {type: "text/csv"}));
            document.querySelector("[data-drop]").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
        }""",
        "kpi,timestamp,value\nk,2026-01-01,1\nk,2026-02-30,2\nk,2026-01-03,many\n",
    )
    mistakes = page.get_by_role("region", name="Mistakes").locator("tbody tr")
    mistakes.first.wait_for()
    assert [row.inner_text().split("\t")[:2] for row in mistakes.all()] == [
        ["3", "timestamp"],
        ["4", "value"],
    ]
    assert_accessible(page)
    assert page.get_by_role("button", name="Send").count() == 0
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Leave bad lines out").check()
    page.get_by_role("button", name="Send 1 point", exact=True).click()
    page.locator(".toast", has_text="1 point was sent.").wait_for()
    wait_for(lambda: known(platform, mlapp) == [("", 1.0)], lambda: str(known(platform, mlapp)))


def test_what_cannot_be_read_is_told_in_words(client: httpx.Client, mlapp: str):
    here = f"/mlapps/{mlapp}/kpis/upload"

    def previewed(content: bytes, **said: str) -> str:
        return client.post(f"{here}/preview", files={"file": ("a.csv", content)}, data=said).text

    assert "the file is a workbook or a zip archive" in previewed(b"PK\x03\x04...")
    assert "unknown time zone &#39;Mars&#39;" in previewed(b"kpi,timestamp,value\n", timezone="Mars")
    assert "the file is empty" in previewed(b"")
    assert "The file has no points." in previewed(b"kpi,timestamp,value\n" + b"\n" * BODY_BYTES)
    assert "The file has no points." in previewed(b"kpi,timestamp,value\n")
    assert "&lt;script&gt;" in previewed(b"kpi,timestamp,value,<script>\nk,2026-01-01,1,x\n")
    file = {"file": ("a.csv", b"kpi,timestamp,value\nk,2026-01-01,1\n")}
    stale = client.post(here, files=file, data={"digest": "0" * 64})
    assert "has changed since it was shown" in stale.headers["HX-Trigger"]


def test_who_may_not_write_is_shown_no_upload_and_refused(
    client_as: Callable[[str], httpx.Client], client_with: Callable[[str, str], httpx.Client]
):
    viewer = client_as(VIEWER)
    assert "Upload a file" not in viewer.get("/kpis").text
    assert KPI in viewer.get("/kpis").text
    page = viewer.get(f"/mlapps/{MLAPP}/kpis/one", params={"name": KPI}).text
    assert "Withdraw points" not in page
    assert viewer.get(f"/mlapps/{MLAPP}/kpis/upload").status_code == 403
    withdrawal = {"name": KPI, "expected": 1, "comment": "x"}
    assert viewer.post(f"/mlapps/{MLAPP}/kpis/withdraw", data=withdrawal).status_code == 403
    elsewhere = client_with(VIEWER, "elsewhere")
    assert "No KPI yet" in elsewhere.get("/kpis").text
    assert elsewhere.get(f"/mlapps/{MLAPP}/kpis/one", params={"name": KPI}).status_code == 403


def test_points_are_withdrawn_once_they_were_shown(
    page: Page, platform: Settings, mlapp: str, tmp_path: Path
):
    text = "kpi,timestamp,value\nk,2026-01-01,1\nk,2026-01-02,2\nk,2026-01-03,3\n"
    page.goto(f"/mlapps/{mlapp}/kpis/upload")
    choose(page, file_of(tmp_path, text))
    page.get_by_role("button", name="Send 3 points").click()
    page.get_by_role("link", name="k", exact=True).click()
    page.get_by_role("textbox", name="From").last.fill("2026-01-02")
    page.get_by_label("To, not included").fill("2026-01-03")
    page.get_by_role("button", name="Show these points").click()
    page.get_by_label("Why they are withdrawn").fill("a test run")
    assert_accessible(page)
    page.get_by_role("button", name="Withdraw 1 point").click()
    page.locator(".toast", has_text="1 point of k withdrawn.").wait_for()
    page.get_by_text("1 withdrawn").click()
    page.get_by_text("withdrawn by ada: a test run").wait_for()
    wait_for(lambda: [value for _, value in known(platform, mlapp)] == [1.0, 3.0])
    page.reload()
    assert page.get_by_role("region", name="Points", exact=True).locator("tbody tr").count() == 2


def test_other_points_than_those_shown_are_not_withdrawn(client: httpx.Client, platform: Settings):
    before = len(kpis(platform, KPI, mlapp_id=MLAPP))
    answer = client.post(
        f"/mlapps/{MLAPP}/kpis/withdraw", data={"name": KPI, "expected": before + 1, "comment": "all"}
    )
    assert f"these are {before} points now, and {before + 1} were shown" in answer.headers["HX-Trigger"]
    assert len(kpis(platform, KPI, mlapp_id=MLAPP)) == before


def test_what_moves_with_a_kpi_is_ranked_and_each_pair_drawn(page: Page):
    page.goto(f"/mlapps/{MLAPP}/kpis/correlate?name={KPI}&max_lag=1")
    rows = page.get_by_role("region", name="Statistics beside the KPI").locator("tbody > tr")
    rows.first.wait_for()
    assert page.get_by_text("Removed from all series").is_visible()
    assert_accessible(page)
    rows.first.get_by_text("scatter").click()
    figure = rows.first.locator("[data-chart-url]")
    figure.locator(".canvas:not([aria-busy])").wait_for()
    assert len(option_of(figure)["series"][0]["data"]) > 20
    page.get_by_label("Largest lag").fill("2")
    page.get_by_role("button", name="Ask").click()
    page.wait_for_url("**max_lag=2**")
    rows.first.wait_for()


def test_what_a_deployment_changed_is_told_with_its_interval(page: Page):
    page.goto(f"/mlapps/{MLAPP}/kpis/impact?name={KPI}")
    page.get_by_label("When").select_option(index=1)
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("95 % interval").wait_for()
    page.get_by_text("lower").first.wait_for()
    assert_accessible(page)
    take_pictures(page, "impact")
    page.goto(f"/mlapps/{MLAPP}/kpis/impact?name={KPI}&at=yesterday")
    page.get_by_role("alert").wait_for()
    page.goto(f"/mlapps/{MLAPP}/kpis/impact?name={KPI}&at=2026-05-31")
    page.get_by_text("95 % interval").wait_for()


@pytest.mark.long  # every theme and width
def test_the_pages_look_well(page: Page):
    for name, path in (("kpis", "/kpis"), ("kpi", f"/mlapps/{MLAPP}/kpis/one?name={KPI}")):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert_accessible(page)
        take_pictures(page, name)
