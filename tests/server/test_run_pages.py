"""Pages about runs, agents and the schedule, in a real browser and by role."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import quote

from playwright.sync_api import expect

from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.operations.schedule import planned_nodes
from parallelm.schemas import topics
from parallelm.schemas.records import RunState
from parallelm.server.access.matrix import VIEWER
from parallelm.server.pages import agents, schedule
from parallelm.warehouse.queries import log_lines, run_rows, run_transitions
from tests.people import person
from tests.server.browser.looking import assert_accessible, option_of, take_pictures
from tests.server.run_records import FAILED, LINES, MODEL, SERVING, lines_of, send, transition
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import pytest
    from playwright.sync_api import Page, Response

    from parallelm.connections import Settings
    from parallelm.schemas.records import RunTransition
    from parallelm.schemas.topics import Topic


def test_the_runs_of_an_mlapp_are_seen_with_its_nodes_and_filtered(page: Page, nightly: str) -> None:
    page.goto(f"/mlapps/{nightly}/runs")
    nodes = page.get_by_role("group", name="Nodes and what they pass on")
    assert "running on web-1" in str(nodes.text_content())
    waiting = page.get_by_role("region", name="Runs that wait")
    assert "no agent has the labels gpu=yes" in waiting.inner_text()
    table = page.get_by_role("region", name=f"Runs of {nightly}")
    assert table.get_by_role("row").count() > 12
    assert "the control plane was away" in table.inner_text()
    assert_accessible(page)
    take_pictures(page, "runs")
    page.get_by_label("State").select_option("failed")
    page.wait_for_url("**state=failed**")
    table = page.get_by_role("region", name=f"Runs of {nightly}")
    assert table.get_by_role("row").count() == 2
    table.get_by_role("link").click()
    page.wait_for_url(f"**/runs/{FAILED}")


def test_a_run_tells_what_happened_to_it_and_what_it_wrote(page: Page, nightly: str) -> None:
    page.goto(f"/mlapps/{nightly}/runs/{FAILED}")
    steps = page.get_by_role("region", name="Changes of its state")
    assert [row.inner_text() for row in steps.locator("tbody td:nth-child(2)").all()] == [
        "waiting", "assigned", "running", "failed",
    ]  # fmt: skip
    log = page.get_by_role("log")
    assert "ValueError: no rows since yesterday" in log.inner_text()
    assert log.locator(".stderr").count() == 2
    assert_accessible(page)
    take_pictures(page, "run-failed")


def test_a_log_is_searched_and_read_backwards(page: Page, nightly: str) -> None:
    page.goto(f"/mlapps/{nightly}/runs/{SERVING}")
    assert MODEL in page.locator("#run").inner_text()
    log = page.get_by_role("log")
    assert "<b>answers</b>" in log.inner_text(), "what programs write is text"
    assert "scored 1 customers" not in log.inner_text()
    take_pictures(page, "run")
    page.get_by_role("button", name="Earlier lines").click()
    expect(log).to_contain_text("scored 1 customers")
    assert page.get_by_role("button", name="Earlier lines").count() == 0
    assert log.get_by_text(re.compile("scored .* customers")).count() == LINES - 1
    page.get_by_label("Text").fill("SCORED 17 ")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**q=SCORED**")
    assert "scored 17 customers" in page.get_by_role("log").inner_text()
    assert "scored 18 customers" not in page.get_by_role("log").inner_text()


def test_a_run_is_watched_while_it_goes_on(page: Page, platform: Settings, nightly: str) -> None:
    now_ms = time.time_ns() // 1_000_000
    run_id = f"11ve{now_ms}"
    about = {"agent_id": "web-1", "due_at_ms": now_ms, "trigger": "person", "who": "ada"}
    send(
        platform,
        (topics.RUNS, transition(run_id, "report", RunState.RUNNING, now_ms, **about)),
        (topics.LOGS, lines_of(run_id, "report", 1, ["first"], now_ms)),
    )
    page.goto(f"/mlapps/{nightly}/runs")
    page.get_by_role("link", name="report").first.wait_for()
    page.wait_for_function("() => document.body.innerText.includes('report')")
    page.goto(f"/mlapps/{nightly}/runs/{run_id}")
    log = page.get_by_role("log")
    expect(log).to_contain_text("first")
    send(platform, (topics.LOGS, lines_of(run_id, "report", 2, ["second", "third"], now_ms)))
    expect(log).to_contain_text("third")
    assert log.inner_text().count("second") == 1
    send(platform, (topics.RUNS, transition(run_id, "report", RunState.SUCCEEDED, now_ms + 5000, **about)))
    expect(page.locator("#run")).to_contain_text("succeeded")
    assert log.inner_text().count("third") == 1


def test_a_program_that_writes_faster_than_its_page_shows_loses_no_line(
    page: Page, platform: Settings, nightly: str
) -> None:
    now_ms = time.time_ns() // 1_000_000
    run_id = f"fa57{now_ms}"
    about = {"agent_id": "web-1", "due_at_ms": now_ms, "trigger": "person"}
    send(
        platform,
        (topics.RUNS, transition(run_id, "report", RunState.RUNNING, now_ms, **about)),
        (topics.LOGS, lines_of(run_id, "report", 1, ["\x1b[31mred\x1b[0m", "10 %\r100 %"], now_ms)),
    )
    wait_for(lambda: run_rows(platform, run_id=run_id))
    wait_for(lambda: log_lines(platform, mlapp_id=nightly, run_id=run_id))
    page.goto(f"/mlapps/{nightly}/runs/{run_id}")
    log = page.get_by_role("log")
    expect(log).to_contain_text("100 %")
    assert "\x1b" not in log.inner_text()
    written = [f"row {number}" for number in range(3, 603)]
    send(platform, (topics.LOGS, lines_of(run_id, "report", 3, written, now_ms)))
    expect(log).to_contain_text("row 602")
    assert log.locator("[data-place]").count() == 202
    between = page.get_by_role("button", name="Lines between")
    while between.count():
        log.evaluate("log => { log.scrollTop = 0; }")
        before = log.locator("[data-place]").count()
        between.click()
        page.wait_for_function(
            "before => document.querySelectorAll('[role=log] [data-place]').length > before", arg=before
        )
    shown = log.locator("[data-place]").evaluate_all("lines => lines.map(line => line.dataset.place)")
    assert shown == [f"1.{number}" for number in range(1, 603)]
    # At its end the log keeps the latest lines only, so that a page may stay open for days.
    log.evaluate("log => { log.dataset.most = 300; log.scrollTop = log.scrollHeight; }")
    send(platform, (topics.LOGS, lines_of(run_id, "report", 603, ["last"], now_ms)))
    expect(log).to_contain_text("last")
    assert log.locator("[data-place]").count() == 300
    log.evaluate("log => { log.scrollTop = 0; }")
    page.get_by_role("button", name="Earlier lines").click()
    page.wait_for_function("() => document.querySelectorAll('[role=log] [data-place]').length === 500")


def test_the_summary_of_an_mlapp_shows_its_nodes_with_their_runs(page: Page, nightly: str) -> None:
    page.goto(f"/mlapps/{nightly}")
    nodes = page.get_by_role("group", name="Nodes and what they pass on")
    told = str(nodes.text_content())
    assert re.search(r"serve\b.*: .*running on web-1", told)  # beside runs that other tests have asked for
    assert re.search(r"train\b.*: waiting", told)
    for box in nodes.get_by_role("link").all():
        title, dot = box.locator(".title").bounding_box(), box.locator("circle").bounding_box()
        assert title is not None
        assert dot is not None
        assert title["x"] + title["width"] <= dot["x"], "the dot stands beside the title"
    assert page.get_by_role("button", name="Run now").count() == 1
    assert_accessible(page)
    take_pictures(page, "summary")
    nodes.get_by_role("link").filter(has_text="Serve").click()
    page.wait_for_url("**/runs?node=serve")


def test_runs_are_seen_as_they_were_known_at_a_moment(page: Page, platform: Settings, nightly: str) -> None:
    now_ms = time.time_ns() // 1_000_000
    run_id = f"1a7e{now_ms}"
    about = {"agent_id": "web-1", "due_at_ms": now_ms, "trigger": "person"}
    send(platform, (topics.RUNS, transition(run_id, "report", RunState.RUNNING, now_ms, **about)))
    wait_for(lambda: run_id in set(run_transitions(platform, run_id=run_id)["run_id"]))
    then = run_transitions(platform, run_id=run_id)["ingested_at"].iloc[0].isoformat()
    send(platform, (topics.RUNS, transition(run_id, "report", RunState.FAILED, now_ms + 9, **about)))
    wait_for(lambda: len(run_transitions(platform, run_id=run_id)) == 2)
    then = quote(then)
    page.goto(f"/mlapps/{nightly}/runs?known_at={then}")
    row = page.get_by_role("region", name=f"Runs of {nightly}").get_by_role("row").nth(1)
    assert "running" in row.inner_text()
    assert page.get_by_role("button", name="Run now").count() == 0
    row.get_by_role("link").click()
    page.wait_for_url(f"**/runs/{run_id}?known_at=**")
    states = page.get_by_role("region", name="Changes of its state")
    assert "failed" not in states.inner_text()
    page.get_by_role("link", name="Show it as it is now").click()
    expect(states).to_contain_text("failed")


def test_an_open_timeline_gets_the_runs_that_are_new_and_keeps_the_others(
    page: Page, platform: Settings
) -> None:
    now_ms = time.time_ns() // 1_000_000
    mlapp_id = f"many-{now_ms}"

    def ran(number: int) -> tuple[Topic, RunTransition]:
        at_ms = now_ms - 1_000 * (200 - number)
        state = RunState.RUNNING if number % 50 == 0 else RunState.SUCCEEDED
        return topics.RUNS, transition(f"{number:08x}", f"node-{number % 3}", state, at_ms, mlapp_id=mlapp_id)

    def bars() -> list[str]:
        drawn = option_of(page.locator("figure").first)["series"]
        return [item["link"].rpartition("=")[2] for item in drawn[0]["data"]]

    send(platform, *map(ran, range(100)))
    wait_for(lambda: len(run_rows(platform, mlapp_id=mlapp_id)) == 100)
    page.goto(f"/mlapps/{mlapp_id}/timeline")
    assert bars() == [f"{number:08x}" for number in range(100)]
    page.locator("figure").first.evaluate("figure => { figure.dataset.refresh = 1; }")
    updates: list[Response] = []
    page.on("response", lambda answer: updates.append(answer) if "known=" in answer.url else None)
    send(platform, ran(100))
    wait_for(lambda: bars() == [f"{number:08x}" for number in range(101)], bars)
    sent = [each["data"] for answer in updates for each in answer.json()["option"]["series"] if each]
    assert 0 < sum(map(len, sent)) < 90


def test_runs_stand_on_the_timeline_and_a_click_explains_one(page: Page, nightly: str) -> None:
    page.goto(f"/mlapps/{nightly}/timeline")
    chart = page.locator("figure").first
    chart.locator(".canvas:not([aria-busy])").wait_for()
    chart.get_by_text("Data", exact=True).press("Enter")
    chart.get_by_role("link", name=re.compile("train failed on gpu-1")).press("Enter")
    why = page.get_by_role("complementary", name="Explanation")
    expect(why).to_contain_text("the program ended with exit code 1")
    assert_accessible(page)
    take_pictures(page, "timeline-runs")
    why.get_by_role("link", name="Open it, with its log").click()
    page.wait_for_url(f"**/runs/{FAILED}")


def test_agents_are_seen_with_what_runs_there(page: Page, nightly: str) -> None:
    page.goto("/hosts")
    row = page.get_by_role("row").filter(has_text="web-1")
    assert f"{nightly} / serve" in row.inner_text()
    assert "draining" in page.get_by_role("row").filter(has_text="gpu-1").inner_text()
    assert_accessible(page)
    take_pictures(page, "agents")
    page.get_by_role("link", name="web-1").click()
    page.wait_for_url("**/hosts/web-1")
    page.get_by_role("heading", name="Load of the host").wait_for()
    cpu = option_of(page.locator("figure").filter(has_text="CPU, %"))
    assert max(value for _, value in cpu["series"][0]["data"]) >= 20
    assert "4711" in page.get_by_role("region", name="Runs that go on there").inner_text()
    assert page.get_by_role("navigation", name="Times").locator("[aria-current]").inner_text() == "hour"
    assert_accessible(page)
    take_pictures(page, "agent")
    page.goto("/mlapps/hosts")
    assert "not defined" not in page.get_by_role("main").inner_text().lower()
    page.get_by_role("main").get_by_role("link", name="Agents").click()
    page.wait_for_url("**/hosts")


def test_the_schedule_shows_a_week_of_what_ran_and_what_is_due(page: Page, nightly: str) -> None:
    page.goto(f"/schedule?mlapp_id={nightly}")
    week = page.get_by_role("region", name=re.compile("Week from"))
    assert f"{nightly} / train" in week.inner_text()
    assert "0 2 * * * UTC" in week.inner_text()
    assert_accessible(page)
    take_pictures(page, "schedule")
    page.get_by_role("link", name="Week after").click()
    page.wait_for_url("**week=**")
    assert page.get_by_role("region", name=re.compile("Week from")).locator("li").count() == 7
    page.goto(f"/schedule?mlapp_id={nightly}&week=2001-01-01")
    assert page.get_by_role("region", name=re.compile("Week from")).locator("li").count() == 0


def test_agents_beyond_a_page_follow_on_the_next_ones(
    page: Page, nightly: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nightly
    monkeypatch.setattr(agents, "_SHOWN", 1)
    page.goto("/hosts?q=-1")
    more, seen = page.get_by_role("link", name="More", exact=True), []
    while True:
        seen.append(page.get_by_role("rowheader").inner_text().splitlines()[0])
        if not more.count():
            break
        more.click()
        page.wait_for_url(f"**/hosts?q=-1&after={seen[-1]}")
    assert {"gpu-1", "web-1"} <= set(seen)
    assert seen == sorted(set(seen))


def test_nodes_beyond_a_page_of_the_schedule_follow_on_the_next_one(
    page: Page, platform: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_ROWS", 1)
    mlapp_id = f"weekly-{uuid.uuid4().hex[:6]}"
    due = "type: auxiliary, schedule: {cron: '0 6 * * 1', timezone: UTC}, steps: [{command: 'true'}]"
    text = f"mlapp: {mlapp_id}\nnodes: [{{id: first, {due}}}, {{id: second, {due}}}]\n"
    apply_definition(platform, validate_definition(text.encode(), "weekly.yaml"), who=person("ada"))
    wait_for(lambda: planned_nodes(platform, frozenset({mlapp_id})), "the definition is not stored")
    page.goto(f"/schedule?mlapp_id={mlapp_id}&week=2030-06-03")
    for words, node, place in (
        ("More nodes", "second", "2\u20132 of 2 nodes"),
        ("Nodes before", "first", "1\u20131 of 2 nodes"),
    ):
        page.get_by_role("link", name=words).click()
        expect(page.get_by_text(place)).to_be_visible()
        week = page.get_by_role("region", name="Week from 2030-06-03")
        assert week.get_by_role("rowheader").inner_text().startswith(f"{mlapp_id} / {node}")


def test_who_may_only_look_sees_no_button_and_starts_nothing(
    client_as: Callable[[str], httpx.Client], nightly: str
) -> None:
    viewer = client_as(VIEWER)
    assert "Run now" not in viewer.get(f"/mlapps/{nightly}/runs").text
    assert "Stop this run" not in viewer.get(f"/mlapps/{nightly}/runs/{SERVING}").text
    for path, data in (("whole/launch", {}), ("now", {"node": "train"}), (f"{SERVING}/stop", {})):
        assert viewer.post(f"/mlapps/{nightly}/runs/{path}", data=data).status_code == 403


def test_somebody_sees_what_runs_of_their_mlapps_only(
    client_with: Callable[[str, str], httpx.Client], nightly: str
) -> None:
    stranger = client_with(VIEWER, "churn")
    assert stranger.get(f"/mlapps/{nightly}/runs").status_code == 403
    assert stranger.get(f"/mlapps/{nightly}/runs/{SERVING}/lines").status_code == 403
    assert stranger.get(f"/mlapps/churn/runs/{SERVING}").status_code == 404
    assert stranger.get("/hosts/web-1").status_code == 404
    assert "web-1" not in stranger.get("/hosts").text
    assert nightly not in stranger.get("/schedule").text
    assert "Agents run no node of this MLApp" in stranger.get("/mlapps/churn/runs").text


def test_an_mlapp_is_launched_run_and_stopped_from_its_page(
    page: Page, client: httpx.Client, platform: Settings
) -> None:
    mlapp_id = f"buttons-{time.time_ns() // 1_000_000 % 10**9}"
    text = f"mlapp: {mlapp_id}\nnodes:\n  - {{id: score, type: auxiliary, pipeline: 'true'}}\n"
    apply_definition(platform, validate_definition(text.encode(), "buttons.yaml"), who=person("ada"))
    wait_for(lambda: "mcenter mlapps launch" in client.get(f"/mlapps/{mlapp_id}/runs").text)
    page.goto(f"/mlapps/{mlapp_id}/runs")
    assert "mcenter mlapps launch" in page.locator("#found").inner_text()
    page.get_by_role("button", name="Launch").click()
    page.get_by_role("dialog", name="Launch").get_by_role("button", name="Launch").click()
    page.get_by_role("button", name="Run now").wait_for()
    assert "waits for an agent" in page.get_by_role("region", name="Runs that wait").inner_text()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("dialog", name="Pause").get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog", name="Stop").get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Launch").wait_for()
    expect(page.locator("#found")).to_contain_text("stopped")
