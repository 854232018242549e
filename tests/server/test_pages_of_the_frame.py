"""Overview, an MLApp's summary and definition, operations, audit log and report, in a real browser."""

from __future__ import annotations

import html
import re
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.operations.definitions import get_definition
from parallelm.schemas.topics import MODELS
from parallelm.warehouse.queries import dead_letters
from tests.server.browser.looking import assert_accessible, take_pictures
from tests.server.seed import DEFINITION, MLAPP
from tests.stream_processors.live import Cluster
from tests.waiting import wait_for
from tests.warehouse.rows import insert

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page

    from parallelm.connections import Settings
    from tests.server.browser.watching import PageProblems


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("overview", "/"),
        ("summary", f"/mlapps/{MLAPP}"),
        ("definition", f"/mlapps/{MLAPP}/definition"),
        ("new-definition", "/definitions/new"),
        ("operations", "/operations"),
        ("audit", "/audit"),
        ("report", "/report?period=month&day=2026-05-15"),
    ],
)
def test_it_is_accessible_in_both_themes(page: Page, name: str, path: str):
    page.goto(path)
    page.wait_for_load_state("networkidle")
    assert_accessible(page)
    take_pictures(page, name)


def test_the_overview_says_what_is_wrong_and_what_waits(page: Page):
    page.goto("/")
    row = page.get_by_role("row").filter(has_text=MLAPP)
    assert "critical" in row.inner_text()
    page.get_by_label("Search").fill("no such")
    page.get_by_text("No MLApp is like that").wait_for()
    assert "q=no" in page.url
    page.get_by_label("Search").fill("leave")
    page.get_by_role("link", name=MLAPP).wait_for()
    page.reload()
    page.get_by_role("link", name=MLAPP).click()
    page.get_by_role("heading", name="Nodes").wait_for()
    assert page.get_by_role("link", name="churn-30").count() >= 1


def test_the_overview_shows_an_alert_when_it_fires(page: Page, platform: Settings):
    cluster = Cluster(platform, mlapp="parcels")
    cluster.apply("mlapp: app\nnodes: [{id: predict, type: model_consumer}]\n"
                  "alerts: [{name: late, type: threshold, statistic: share, above: 0.5, severity: critical}]\n")  # fmt: skip
    cluster.statistic(1, "share", 0.1)
    cluster.flush()
    page.goto("/")
    row = page.get_by_role("row").filter(has_text="parcels")
    row.wait_for()
    cluster.statistic(2, "share", 0.9)
    cluster.flush()
    row.filter(has_text="critical").wait_for()
    cluster.close()


def test_a_definition_is_checked_while_it_is_written_and_applied(page: Page, platform: Settings):
    page.goto(f"/mlapps/{MLAPP}/definition")
    text = page.get_by_label("Definition", exact=True)
    before = get_definition(platform, MLAPP).version
    text.fill(DEFINITION.replace("above: 0.5", "abov: 0.5"))
    mistake = page.get_by_role("link", name=re.compile("line 11")).first
    mistake.wait_for()
    mistake.click()
    chosen = text.evaluate("text => text.value.slice(text.selectionStart, text.selectionEnd)")
    assert chosen.startswith("  - {name: slow answers")
    with page.expect_response(lambda answer: answer.url.endswith("/definition")):
        page.get_by_role("button", name="Apply").click()
    assert get_definition(platform, MLAPP).version == before
    text.fill(DEFINITION.replace("half a second", "500 ms"))
    page.get_by_text("Valid: 3 nodes").wait_for()
    page.get_by_role("button", name="Apply").click()
    page.get_by_text(f"version {before + 1} of {MLAPP} holds now").wait_for()
    assert get_definition(platform, MLAPP).version == before + 1
    wait_for(
        lambda: page.reload() and page.get_by_text("+     reason: Answers took longer than 500 ms.").count()
    )


def test_a_new_mlapp_is_defined_from_the_overview_and_its_page_opens(
    page: Page, page_problems: PageProblems, platform: Settings
):
    page_problems.expect("409")
    page.goto("/")
    page.get_by_role("link", name="Define an MLApp").click()
    text = page.get_by_label("Definition", exact=True)
    text.fill("mlapp: laundry\nnodes: [{id: predict, typ: model_consumer}]\n")
    page.get_by_role("link", name=re.compile("line 2")).first.wait_for()
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("/definitions/new$"))
    text.fill("mlapp: laundry\nnodes: [{id: predict, type: model_consumer}]\n")
    page.get_by_text("Valid: 1 node").wait_for()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**/mlapps/laundry/definition")
    assert get_definition(platform, "laundry").version == 1
    page.goto("/definitions/new")
    page.get_by_label("Definition", exact=True).fill(
        "mlapp: laundry\nname: Again\nnodes: [{id: predict, type: model_consumer}]\n"
    )
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("there is an MLApp 'laundry' already").wait_for()
    assert get_definition(platform, "laundry").version == 1


def test_the_audit_log_is_read_page_by_page_and_nothing_twice(client: httpx.Client, platform: Settings):
    now_ms = time.time_ns() // 1_000_000
    rows = [
        {
            "mlapp_id": "audited",
            "event_time": now_ms,
            "action_id": f"audited-{number}",
            "action": "acknowledge",
            "who": "ada",
            "comment": f"number {number:03d}",
            "ingested_at": now_ms + number // 7,
            "_partition": number % 3,
        }
        for number in range(150)
    ]
    with clickhouse_client(platform.clickhouse) as warehouse:
        insert(warehouse, "actions", rows)
    address: str | None = "?mlapp_id=audited"
    found: list[str] = []
    while address:
        text = client.get(f"/audit{address}").text
        found += re.findall(r"number \d{3}", text)
        older = re.search(r'rel="next" href="([^"]+)"', text)
        address = html.unescape(older[1]) if older else None
    assert len(found) == len(set(found)) == 150


def test_a_definition_that_somebody_else_has_changed_is_refused(page: Page, page_problems: PageProblems):
    page_problems.expect("409")
    page.goto(f"/mlapps/{MLAPP}/definition")
    page.locator("input[name=version]").evaluate("field => { field.value = 77; }")
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("somebody has applied version").wait_for()


def poisoned(platform: Settings) -> list[str]:
    """Open dead letters of the topic of models; other tests make some of other topics."""
    letters = dead_letters(
        platform, source_topic=MODELS.full_name(platform.kafka.topic_prefix), stage="decode"
    )
    return [str(each) for each in letters["letter_id"]]


def test_a_dead_letter_is_looked_at_and_given_up(page: Page, platform: Settings):
    cluster = Cluster(platform, mlapp=MLAPP)
    cluster.send_bytes(MODELS, b"poison", b"poison")
    cluster.flush()
    cluster.close()
    wait_for(lambda: len(poisoned(platform)) == 2, "the letters of the processors and of the sink")
    page.goto("/operations")
    page.get_by_role("heading", name="Dead letters").scroll_into_view_if_needed()
    letters = page.locator("#dead-letters")
    boxes = [page.get_by_role("checkbox", name=f"Choose {letter}") for letter in poisoned(platform)]
    letters.get_by_role("row").filter(has=boxes[0]).get_by_role("link").click()
    page.get_by_role("heading", name="Record").wait_for()
    page.go_back()
    for box in boxes:
        box.check()
    letters.get_by_label("Why").fill("it was a test")
    letters.get_by_role("button", name="Give up").click()
    page.get_by_text("given up").wait_for()
    wait_for(lambda: not poisoned(platform))
    page.goto("/audit")
    row = page.get_by_role("row").filter(has_text="it was a test").first
    wait_for(lambda: page.reload() and row.count())
    assert "drop dead letter" in row.inner_text()


def test_the_report_counts_what_happened_in_a_month(page: Page):
    page.goto("/report?period=month&day=2026-05-15")
    row = page.get_by_role("row").filter(has_text=MLAPP).first
    assert row.locator("td").all_inner_texts()[0] == "2", "both models were trained in May"
    assert page.get_by_role("row").filter(has_text="revenue").count() == 1
    page.get_by_role("link", name="Later").click()
    page.get_by_role("heading", name=re.compile("01 June 2026")).wait_for()
