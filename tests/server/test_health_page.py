"""The Health View in a real browser: features, the worst first, canaries, and events in time."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.schemas.well_known import CONTINUOUS_OVERLAP, DRIFT_JS
from parallelm.server.pages._window import iso
from tests.server.browser.looking import assert_accessible, draw_all, option_of, take_pictures
from tests.server.seed import MLAPP
from tests.warehouse.rows import DAY_MS, T0_MS, deployment, insert, model, statistic

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from parallelm.connections import Settings

ADDRESS = f"/mlapps/{MLAPP}/health"
OFFERS = "offers"


@pytest.fixture(scope="module")
def offers(platform: Settings) -> None:
    """An MLApp with a canary that was taken back, and with an A/B test."""
    evidence = {
        "verdict": "fail",
        "score": 40.0,
        "metrics": [
            {
                "metric": "latency",
                "verdict": "fail",
                "weight": 2.0,
                "critical": False,
                "p_value": 0.001,
                "shift": 0.3,
            },
            {
                "metric": "PredictionHistogram",
                "verdict": "pass",
                "weight": 1.0,
                "critical": False,
                "rmse": 0.05,
                "threshold": 0.2,
            },
        ],
    }
    on = {"mlapp_id": OFFERS}
    began = {"baseline": "m-1", "agents": ["host-2"]}
    bars = {"PredictionHistogram": [{"mug": 60}, {"shirt": 40}]}
    others = {"PredictionHistogram": [{"mug": 30}, {"shirt": 70}]}
    report = {
        **on,
        "node_id": "predict",
        "name": "PredictionHistogram",
        "graph_type": "BARGRAPH",
        "content_type": "application/json",
    }
    curves = {
        "x_title": "Rate",
        "y_title": "Density",
        "x_series": [1, 2, 3],
        "y_series": [{"label": "A", "data": [1, 3, 1]}, {"label": "B", "data": [0, 2, 4]}],
    }
    with clickhouse_client(platform.clickhouse) as client:
        insert(client, "models_log", [model(f"m-{n}", T0_MS + n, name=f"offer-{n}", **on) for n in (1, 2)])
        insert(
            client,
            "deployment_transitions_log",
            [
                deployment("m-1", "active", T0_MS, attempt=1, transition_id="o1", deployment_id="d1", **on),
                deployment("m-2", "canary", T0_MS + DAY_MS, attempt=2, transition_id="o2", deployment_id="d2", related_model_id="m-1", evidence_json=json.dumps(began), **on),
                deployment("m-2", "rolled_back", T0_MS + 2 * DAY_MS, attempt=2, transition_id="o3", deployment_id="d2", related_model_id="m-1", evidence_json=json.dumps(evidence), **(on | {"reason": "canary failed: score 40 of 100; worse: latency"})),
            ],
        )  # fmt: skip
        insert(
            client,
            "structured_statistics",
            [
                {**report, "agent_id": "host-1", "event_time": T0_MS + DAY_MS + 1000, "data": json.dumps(bars)},
                {**report, "agent_id": "host-2", "event_time": T0_MS + 2 * DAY_MS, "data": json.dumps(others)},
                {**report, "node_id": "compare", "name": "AB", "graph_type": "GENERAL_GRAPH", "event_time": T0_MS + DAY_MS, "data": json.dumps(curves)},
                {**report, "node_id": "compare", "name": "AB Stats", "graph_type": "MATRIX", "event_time": T0_MS + DAY_MS, "data": '{"a": {"Conversions": 5}, "b": {"Conversions": 9}}'},
            ],
        )  # fmt: skip
        rates = {"mlapp_id": OFFERS, "node_id": "compare"}
        counts = {"mlapp_id": OFFERS, "node_id": "predict"}
        insert(
            client,
            "statistics",
            [
                statistic("ConversionRate", T0_MS + DAY_MS, 5.0, labels={"line": "A"}, **rates),
                statistic("ConversionRate", T0_MS + DAY_MS, 7.0, labels={"line": "B"}, **rates),
                statistic("pipelinestat.count", T0_MS, 10.0, agent_id="host-1", **counts),
                statistic("pipelinestat.count", T0_MS + DAY_MS, 10.0, agent_id="host-2", **counts),
                *(
                    statistic(
                        name,
                        T0_MS + days * DAY_MS,
                        value,
                        agent_id=host,
                        labels={"feature": feature},
                        **counts,
                    )
                    for days, host, feature, score, js in (
                        (1, "host-2", "age", 0.1, 0.9),
                        (1, "host-1", "size", 0.6, 0.2),
                        (2, "host-2", "size", 0.7, 0.1),
                        (2, "host-2", "age", 0.95, 0.01),
                    )
                    for name, value in ((CONTINUOUS_OVERLAP, score), (DRIFT_JS, js))
                ),
            ],
        )


def figure(page: Page, region: str | re.Pattern[str]) -> Locator:
    found = page.get_by_role("region", name=region).locator("figure").first
    found.scroll_into_view_if_needed()
    found.locator(".canvas:not([aria-busy])").wait_for()
    return found


def test_the_worst_feature_comes_first_with_both_histograms_and_its_tests(page: Page) -> None:
    page.goto(ADDRESS)
    regions = page.get_by_role("region", name=re.compile("^Feature "))
    expect(regions).to_have_count(3)
    expect(regions.first).to_have_accessible_name("Feature age")
    option = option_of(figure(page, "Feature age"))
    training, inference = option["series"]
    assert (training["name"], inference["name"]) == ("training", "inference")
    assert [low for low, *_ in training["data"]] == [low for low, *_ in inference["data"]]
    highest = [max(each["data"], key=lambda one: one[2])[0] for each in (training, inference)]
    assert highest[1] > highest[0] + 10
    expect(regions.first.locator("header .badge")).to_have_class(re.compile("critical"))
    expect(regions.first.get_by_role("link")).to_be_visible()  # of the alert about it
    for test in ("PSI", "JS", "KS", "p-value"):
        expect(regions.first).to_contain_text(test)
    plan = option_of(figure(page, "Feature plan"))
    assert plan["xAxis"][0]["data"] == ["basic", "max", "plus"]
    assert len(plan["series"]) == 2
    expect(
        page.get_by_role("table", name=re.compile("Scores and tests")).get_by_role("row").nth(1)
    ).to_contain_text("age")


def test_the_numbers_on_top_are_those_of_the_time_shown(page: Page) -> None:
    page.goto(ADDRESS)
    expect(page.locator(".figures")).to_contain_text("12\u202f000")
    page.goto(f"{ADDRESS}?from=2026-05-01&to=2026-05-11")
    expect(page.locator(".figures")).to_contain_text("2000")
    # Before the customers grew older no feature is bad.
    expect(page.get_by_role("region", name="Feature age").locator(".badge")).to_have_class(re.compile("good"))


def test_the_heat_map_shows_when_a_feature_went_bad(page: Page) -> None:
    page.goto(ADDRESS)
    option = option_of(figure(page, "Similarity over time"))
    assert option["yAxis"][0]["data"][0] == "age"
    by_time = {column: value for column, row, value in option["series"][0]["data"] if row == 0}
    assert by_time[min(by_time)] > 0.8
    assert by_time[max(by_time)] < 0.5


@pytest.mark.usefixtures("offers")
def test_of_a_time_that_is_over_each_feature_is_shown_at_its_worst(page: Page) -> None:
    page.goto(f"/mlapps/{OFFERS}/health")
    regions = page.get_by_role("region", name=re.compile("^Feature "))
    expect(regions.first).to_have_accessible_name("Feature size")
    expect(regions.last).to_contain_text("0.95")
    over = {"from": iso(T0_MS), "to": iso(T0_MS + 3 * DAY_MS)}
    page.goto(f"/mlapps/{OFFERS}/health?{urlencode(over)}")
    expect(regions.first).to_have_accessible_name("Feature age")
    expect(regions.first).to_contain_text("JS0.9")
    expect(regions.first.locator(".badge").first).to_have_text("0.1")
    expect(regions.last).to_contain_text("JS0.2")
    every, one = (
        page.request.get(f"/charts/{OFFERS}/numbers.json?name={DRIFT_JS}&node=predict{asked}").json()[
            "option"
        ]["series"]
        for asked in ("", "&feature=age")
    )
    assert 0 < len(one) < len(every)


def test_somebody_chooses_whose_data_are_compared(page: Page) -> None:
    page.goto(ADDRESS)
    page.get_by_label("Inference", exact=True).select_option("predict on host-1")
    expect(page).to_have_url(re.compile("inference=predict"))
    expect(page.get_by_role("region", name=re.compile("^Feature "))).to_have_count(3)


@pytest.mark.usefixtures("offers")
def test_a_canary_shows_both_predictions_and_why_it_was_taken_back(page: Page) -> None:
    page.goto(f"/mlapps/{OFFERS}/health?tab=canary")
    canary = page.get_by_role("region", name="Canary offer-2", exact=True)
    expect(canary).to_contain_text("rolled back")
    expect(canary).to_contain_text("canary failed: score 40 of 100; worse: latency")
    expect(canary.get_by_role("row", name=re.compile("PredictionHistogram"))).to_contain_text("rmse 0.05")
    live, on_trial = option_of(figure(page, re.compile("^Canary offer-2$")))["series"]
    assert (live["name"], live["data"]) == ("live: offer-1", [0.6, 0.4])
    assert (on_trial["name"], on_trial["data"]) == ("canary: offer-2", [0.3, 0.7])
    draw_all(page)
    assert_accessible(page)
    take_pictures(page, "canary")
    before = {"to": iso(T0_MS + DAY_MS)}
    page.goto(f"/mlapps/{OFFERS}/health?tab=canary&{urlencode(before)}")
    expect(page.get_by_text("No canary in this time")).to_be_visible()


@pytest.mark.usefixtures("offers")
def test_an_ab_test_shows_its_curves_and_its_table(page: Page) -> None:
    page.goto(f"/mlapps/{OFFERS}/health?tab=ab")
    curves = option_of(figure(page, "AB, node compare"))
    assert [each["name"] for each in curves["series"]] == ["A", "B"]
    expect(figure(page, "AB Stats, node compare").get_by_role("row")).to_have_count(3)
    draw_all(page)
    assert_accessible(page)


def test_the_page_is_accessible(page: Page) -> None:
    page.goto(ADDRESS)
    draw_all(page)
    assert_accessible(page)
    take_pictures(page, "health")
