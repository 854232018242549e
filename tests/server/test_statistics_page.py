"""The Data Science View in a real browser: every statistic of the seeded MLApp, drawn by its type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from parallelm.warehouse.queries import statistics
from tests.server.browser.looking import assert_accessible, draw_all, option_of, take_pictures
from tests.server.seed import MLAPP
from tests.stream_processors.live import Cluster
from tests.waiting import wait_for

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Locator, Page, Route

    from parallelm.connections import Settings
    from tests.server.browser.watching import PageProblems

ADDRESS = f"/mlapps/{MLAPP}/statistics"
_AT_ONCE = """document.addEventListener("DOMContentLoaded", () => {
    for (const each of document.querySelectorAll("[data-refresh]")) each.dataset.refresh = "0"; })"""
"""Charts in sight are brought up to date at most once in 10 seconds: not so seldom here."""


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=re.compile(f"^{re.escape(name)}, node "))


def figure(page: Page, name: str) -> Locator:
    found = card(page, name).locator("figure").first
    found.scroll_into_view_if_needed()
    found.locator(".canvas:not([aria-busy])").wait_for()
    return found


def expect_blocked_script(problems: PageProblems) -> None:
    """The seeded HTML has a script."""
    problems.expect("Blocked script execution")


def test_each_statistic_is_drawn_by_its_type(page: Page, page_problems: PageProblems) -> None:
    expect_blocked_script(page_problems)
    page.goto(ADDRESS)
    latency = option_of(figure(page, "latency"))
    [line] = [each for each in latency["series"] if each["type"] == "line"]
    assert len(line["data"]) == 60
    assert max(value for _, value in line["data"]) > 0.8
    shares = option_of(figure(page, "shares"))
    assert {each["name"] for each in shares["series"]} == {"leaves", "stays"}
    customers = option_of(figure(page, "customers"))
    assert customers["series"][0]["data"] == [120, 60, 20]
    assert customers["xAxis"][0]["data"] == ["basic", "plus", "max"]
    risk = option_of(figure(page, "risk by age"))
    assert risk["series"][0]["data"] == [[20, 0.1], [30, 0.2], [40, 0.25], [50, 0.5]]
    [mark] = risk["series"][0]["markLine"]["data"]
    assert (mark["name"], mark["xAxis"]) == ("pension", 45)
    largest = figure(page, "largest").get_by_role("table")
    expect(largest.get_by_role("row")).to_have_count(3)
    expect(largest).to_contain_text("<b>Smith</b>")
    confusion = option_of(figure(page, "Confusion Matrix"))
    assert confusion["series"][0]["type"] == "heatmap"
    assert sorted(cell[2] for cell in confusion["series"][0]["data"]) == [12, 20, 80, 88]
    expect(card(page, "settings")).to_contain_text("threshold")
    summary = page.frame_locator("iframe[title=summary]")
    expect(summary.get_by_role("heading")).to_have_text("Summary")
    expect(page).to_have_title(re.compile("churn"))


def test_histograms_are_drawn_by_feature_with_their_edges(page: Page) -> None:
    page.goto(f"{ADDRESS}?search=continuousDataHistogram&node=train")
    bins = option_of(figure(page, "continuousDataHistogram: age"))["series"][0]["data"]
    assert all(low < high for low, high, *_ in bins)
    assert sum(share for _, _, share, _ in bins) > 0.99


def test_two_models_are_drawn_beside_each_other(page: Page) -> None:
    page.goto(f"{ADDRESS}?search=overlap&node=predict")
    page.get_by_label("Model", exact=True).select_option(label="churn-30")
    page.get_by_label("Beside model").select_option(label="churn-00")
    expect(page).to_have_url(re.compile("with_model="))
    option = option_of(figure(page, "continuousDataHistogram.overlapResult"))
    names = {each["name"] for each in option["series"]}
    assert len(names) == 2
    assert any("churn-30" in name for name in names)
    assert any("churn-00" in name for name in names)


def test_two_times_are_drawn_over_each_other(page: Page) -> None:
    page.goto(
        f"{ADDRESS}?search=latency&from=2026-06-01&to=2026-06-15&with_from=2026-05-01&with_to=2026-05-15"
    )
    option = option_of(figure(page, "latency"))
    first, second = (each["data"] for each in option["series"] if each["type"] == "line")
    assert len(first) == len(second) == 14
    assert [time for time, _ in first] == [time for time, _ in second]


def test_dragging_over_a_chart_chooses_the_time_of_the_whole_page(page: Page) -> None:
    # A time of its own: what other tests report in this MLApp today would move the end of the whole.
    page.goto(f"{ADDRESS}?search=latency&from=2026-05-01&to=2026-07-01")
    box = figure(page, "latency").locator("canvas").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile("from=2026-0.*to=2026-0"))
    page.wait_for_load_state()
    [line] = [each for each in option_of(figure(page, "latency"))["series"] if each["type"] == "line"]
    assert 5 <= len(line["data"]) <= 20
    page.go_back()
    [line] = [each for each in option_of(figure(page, "latency"))["series"] if each["type"] == "line"]
    assert len(line["data"]) == 60


def test_the_page_is_accessible_and_says_in_words_what_charts_show(
    page: Page, page_problems: PageProblems
) -> None:
    expect_blocked_script(page_problems)
    page.goto(ADDRESS)
    draw_all(page)
    expect(figure(page, "latency").get_by_role("img")).to_have_accessible_name(re.compile("1 line over time"))
    figure(page, "latency").get_by_text("Data", exact=True).click()
    expect(figure(page, "latency").get_by_role("row")).to_have_count(61)
    assert_accessible(page)
    take_pictures(page, "statistics")


def test_what_is_reported_while_somebody_looks_is_drawn(page: Page, platform: Settings) -> None:
    cluster = Cluster(platform, mlapp="shop")
    cluster.statistic(0, "visitors", 5.0)
    cluster.flush()
    wait_for(lambda: not statistics(platform, mlapp_id="shop").empty, "no sample")
    with page.expect_response(lambda answer: "/live" in answer.url):  # from then on it is told what arrives
        page.add_init_script(_AT_ONCE)
        page.goto("/mlapps/shop/statistics")
    figure(page, "visitors")
    cluster.statistic(1, "visitors", 9.0)
    cluster.flush()
    page.wait_for_function(
        """() => window.echarts.getInstanceByDom(document.querySelector('figure .canvas')).getOption()
            .series[0].data.some(point => point[1] === 9)"""
    )
    cluster.close()


SECOND = 1 / 86_400
"""Of a day, as ``Cluster`` takes times."""
_POINTS = "figure => window.echarts.getInstanceByDom(figure.querySelector('.canvas'))?.getOption().series.at(-1).data"
_HAS = """value => [...document.querySelectorAll("figure .canvas")].some(canvas =>
    window.echarts?.getInstanceByDom(canvas)?.getOption().series.at(-1).data.some(point => point[1] === value))"""


def test_only_what_is_new_is_fetched_and_takes_its_place_among_what_is_drawn(
    page: Page, platform: Settings
) -> None:
    cluster = Cluster(platform, mlapp="till")
    for second in range(0, 600, 10):
        cluster.statistic(second * SECOND, "queue", 1.0)
    cluster.flush()
    wait_for(lambda: len(statistics(platform, mlapp_id="till")) == 60, "no samples")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/charts/till/")[2]))
    page.add_init_script(_AT_ONCE)
    with page.expect_response(lambda answer: "/live" in answer.url):
        page.goto("/mlapps/till/statistics")
    queue = figure(page, "queue")
    before = queue.evaluate(_POINTS)
    assert len(before) == 60
    # Behind the last bucket, then into it, and, late, between the others.
    for second, value in ((610, 7.0), (610.2, 9.0), (305, 3.0)):
        cluster.statistic(second * SECOND, "queue", value)
        cluster.flush()
        page.wait_for_function(_HAS, arg={9.0: 8.0}.get(value, value))
    cluster.close()
    points = queue.evaluate(_POINTS)
    assert [time for time, _ in points] == sorted({time for time, _ in points})
    assert len(points) == 62
    assert points[-1][1] == 8.0, "the mean of its bucket"
    requests = [each.partition("?")[0] for each in asked if each]
    assert requests.count("numbers.json") == 2, (
        "drawn anew once: when a bucket has a range for the first time"
    )
    assert requests.count("changes.json") >= 3


def test_what_arrives_before_the_page_listens_is_drawn(page: Page, platform: Settings) -> None:
    cluster = Cluster(platform, mlapp="early")
    cluster.statistic(0, "rows", 5.0)
    cluster.flush()
    wait_for(lambda: not statistics(platform, mlapp_id="early").empty, "no sample")

    def report_first(route: Route) -> None:
        cluster.statistic(1, "rows", 9.0)
        cluster.flush()
        wait_for(lambda: len(statistics(platform, mlapp_id="early")) > 1, "no second sample")
        route.continue_()

    page.route("**/live?*", report_first)
    page.add_init_script(_AT_ONCE)
    page.goto("/mlapps/early/statistics")
    figure(page, "rows")
    page.wait_for_function(_HAS, arg=9.0)
    cluster.close()


def test_a_chart_gets_no_more_points_than_it_has_room_for(client: httpx.Client) -> None:
    asked = {"name": "latency", "node": "predict", "points": 10}
    answer = client.get(f"/charts/{MLAPP}/numbers.json", params=asked)
    line = answer.json()["option"]["series"][-1]
    assert len(line["data"]) <= 10
    low, span = (each["data"] for each in answer.json()["option"]["series"][:2])
    assert max(below[1] + more[1] for below, more in zip(low, span, strict=True)) > 0.84
    with_table = client.get(f"/charts/{MLAPP}/numbers.json", params={**asked, "points": 1000, "table": 1})
    assert with_table.headers["Content-Encoding"] == "gzip"
    assert with_table.json()["table"]["total"] == 60


def test_charts_that_are_older_than_an_hour_are_drawn_anew(client: httpx.Client) -> None:
    newer = {"start_ms": 0, "width_ms": 1, "lines": {}}
    charts = [
        {"url": "numbers.json?name=latency&node=predict", "newer": newer},
        {"url": "scores.json"},
        {"url": "//["},
    ]
    path = f"/charts/{MLAPP}/changes.json"
    answer = client.post(path, json={"since_ms": 0, "charts": charts})
    assert answer.json()["charts"] == [{"again": True}] * 3
    asked = {"since_ms": answer.json()["position_ms"], "charts": charts}
    assert client.post(path, json=asked).status_code == 200
    assert client.post(path, json={"since_ms": 10**30, "charts": charts}).status_code == 422


def test_reported_html_is_shown_in_isolation_only(client: httpx.Client) -> None:
    answer = client.get(f"{ADDRESS}/page", params={"name": "summary", "node": "predict"})
    assert "<script>" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_mlapp_without_statistics_says_what_to_run(page: Page, page_problems: PageProblems) -> None:
    page_problems.expect("404")
    page.goto("/mlapps/nobody/statistics")
    expect(page.get_by_role("main")).to_contain_text("no MLApp 'nobody'")
