"""The Timeline in a real browser: KPI, live models, alerts and marks on one axis, and why each came to be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.server.browser.looking import assert_accessible, option_of, take_pictures
from tests.server.seed import KPI, MLAPP

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ADDRESS = f"/mlapps/{MLAPP}/timeline"


def figure(page: Page) -> Locator:
    found = page.locator("figure").first
    found.locator(".canvas:not([aria-busy])").wait_for()
    return found


def titles(option: dict[str, Any]) -> list[str]:
    return [re.sub(r"\{name\|(.*?)\}.*", r"\1", each["text"]) for each in option["title"]]


def test_the_kpi_stands_above_models_alerts_and_what_happened(page: Page) -> None:
    page.goto(ADDRESS)
    option = option_of(figure(page))
    assert titles(option)[0] == KPI
    assert titles(option)[-3:] == ["Live models", "Alerts", "What happened"]
    assert len(option["series"][0]["data"]) == 60
    bands = next(each for each in option["series"] if each["type"] == "custom")
    assert [each["value"][3] for each in bands["data"]] == ["churn-00", "churn-30"]
    places = [axis["data"] for axis in option["yAxis"] if axis["type"] == "category"]
    assert "slow answers" in places[1]
    assert set(places[2]) >= {"deployments", "events"}
    first, *others = option["xAxis"]
    assert all((axis["min"], axis["max"]) == (first["min"], first["max"]) for axis in others)


def test_statistics_are_chosen_by_name(page: Page) -> None:
    page.goto(ADDRESS)
    page.get_by_text("Statistics that go with it").click()
    page.get_by_label("latency", exact=True).check()
    page.get_by_role("button", name="Show", exact=True).last.click()
    expect(page).to_have_url(re.compile("statistic=latency"))
    assert titles(option_of(figure(page)))[:2] == [KPI, "latency"]


def test_a_model_that_was_live_before_and_after_the_time_shown_is_a_band_across_it(page: Page) -> None:
    page.goto(f"{ADDRESS}?from=2026-06-05&to=2026-06-10")
    drawn = figure(page).evaluate(
        """figure => window.echarts.getInstanceByDom(figure.querySelector('.canvas')).getModel()
            .getSeriesByType('custom').map(each => each.getData().count())"""
    )
    assert drawn[0] == 1


def test_where_the_kpi_has_no_points_the_rest_is_told(page: Page) -> None:
    page.goto(f"{ADDRESS}?from=2027-01-01&to=2027-01-05")
    option = option_of(figure(page))
    expect(page.locator("figure .notes")).to_contain_text(f"KPI '{KPI}' has no points")
    assert titles(option)[0] == "Live models"


def test_a_click_on_an_alert_explains_it_beside_the_picture(page: Page) -> None:
    page.goto(ADDRESS)
    chart = figure(page)
    place = chart.evaluate(
        """figure => {
            const chart = window.echarts.getInstanceByDom(figure.querySelector('.canvas'));
            const series = chart.getOption().series;
            const number = series.findIndex(each => each.data.some(one => one.name && one.name.startsWith('slow answers')));
            const [lane, start, end] = series[number].data.find(one => one.name.startsWith('slow answers')).value;
            return chart.convertToPixel({seriesIndex: number}, [(start + end) / 2, lane]);
        }"""
    )
    canvas = chart.locator(".canvas")
    canvas.scroll_into_view_if_needed()
    canvas.click(position={"x": place[0], "y": place[1]})
    why = page.get_by_role("complementary", name="Explanation")
    expect(why).to_contain_text("rule 'slow answers'")
    expect(why).to_contain_text("latency is 0.8")


def test_the_same_marks_stand_in_a_table_for_the_keyboard(page: Page) -> None:
    page.goto(ADDRESS)
    chart = figure(page)
    chart.get_by_text("Data", exact=True).press("Enter")
    link = chart.get_by_role("link", name=re.compile("churn-30 live on predict"))
    link.press("Enter")
    why = page.get_by_role("complementary", name="Explanation")
    expect(why).to_contain_text("policy always_update")
    chart.get_by_role("link", name=re.compile("campaign 1")).press("Enter")
    expect(why).to_contain_text("budget")


def test_a_time_is_chosen_in_the_viewers_zone_and_written_as_utc(page: Page) -> None:
    page.goto(ADDRESS)
    page.locator(".time-range summary").click()
    page.get_by_label("From", exact=True).fill("2026-06-01T00:00:00")
    page.get_by_label("To", exact=True).fill("2026-06-15T00:00:00")
    page.locator(".time-range").get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"from=2026-05-31T22%3A00%3A00Z&to=2026-06-14T22%3A00%3A00Z"))
    expect(page.locator(".time-range summary")).to_contain_text("2026-06-01 00:00 to 2026-06-15 00:00")
    assert len(option_of(figure(page))["series"][0]["data"]) == 14
    # Other pages of the MLApp show the same time.
    page.get_by_role("link", name="Health").click()
    expect(page.locator(".time-range summary")).to_contain_text("2026-06-01 00:00 to 2026-06-15 00:00")


def test_the_page_is_accessible(page: Page) -> None:
    page.goto(ADDRESS)
    figure(page)
    assert_accessible(page)
    take_pictures(page, "timeline")
