"""Pages about alerts, in a real browser and by role: what people do there arrives at the platform."""

from __future__ import annotations

import dataclasses
import re
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from parallelm.operations.alerts import acknowledge_alert, show_alert
from parallelm.operations.definitions import apply_definition, get_definition, validate_definition
from parallelm.operations.kpis import upload_kpis
from parallelm.operations.silences import list_silences, matchers_of
from parallelm.schemas.records import KpiPoint
from parallelm.server.access.matrix import ADMIN, APPROVER, DATA_SCIENTIST, VIEWER
from parallelm.server.run import make_context
from parallelm.warehouse.queries import alerts
from tests.people import person
from tests.server.accounts import ACCOUNT_OF, signed_in
from tests.server.browser.looking import assert_accessible, take_pictures
from tests.server.serving import served
from tests.stream_processors.notifications.receivers import http_receiver
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page

    from parallelm.connections import Settings
    from parallelm.server.accounts.database import Database
    from tests.server.browser.watching import PageProblems

DEFINITION = """\
mlapp: {mlapp_id}
nodes:
  - {{id: predict, type: model_consumer}}
alerts:
  - {{name: low sales, type: kpi, kpi: sales, below: 10, severity: critical}}
policy: {{model_policy: manual}}
"""


ROUTES = """\
receivers:
  - {name: team, targets: [{type: webhook, url: "http://127.0.0.1:9/"}]}
alerts:
  receiver: team
  routes:
    - {name: urgent, matchers: [severity=critical], receiver: team}
"""


@pytest.fixture(scope="module")
def mlapp(platform: Settings) -> str:
    """An MLApp of this file's own, with three alerts."""
    mlapp_id = f"shops-{uuid.uuid4().hex[:6]}"
    text = DEFINITION.format(mlapp_id=mlapp_id)
    apply_definition(platform, validate_definition(text.encode(), "shops.yaml"), who=person("ada"))
    now_ms = time.time_ns() // 1_000_000
    points = [
        KpiPoint(name="sales", labels={"shop": shop}, timestamp_ms=now_ms - hour * 3_600_000, value=value, model_id="")
        for shop in ("north", "south", "west")
        for hour, value in ((3, 20.0), (2, 30.0), (1, 5.0))
    ]  # fmt: skip
    upload_kpis(platform, mlapp_id, "sales.csv", points, who=person("ada"))
    wait_for(lambda: len(alerts(platform, mlapp_id=mlapp_id)) == 3)
    return mlapp_id


def alert_of(settings: Settings, mlapp_id: str, shop: str) -> str:
    found = alerts(settings, mlapp_id=mlapp_id, labels={"shop": shop})
    return str(found["alert_id"].iloc[-1])


def state_of(settings: Settings, alert_id: str) -> str:
    return str(show_alert(settings, alert_id).alert["state"])


def test_a_list_is_filtered_by_its_address(client: httpx.Client, mlapp: str):
    everything = client.get(f"/mlapps/{mlapp}/alerts").text
    assert all(f"shop={shop}" in everything for shop in ("north", "south", "west"))
    north = client.get(f"/mlapps/{mlapp}/alerts", params={"label": "shop=north"}).text
    assert "shop=north</span>" in north
    assert "shop=south" not in north
    assert "No alert is like this" in client.get(f"/mlapps/{mlapp}/alerts", params={"severity": "info"}).text
    assert "No alert is like this" in client.get(f"/mlapps/{mlapp}/alerts", params={"to": "2001-01-01"}).text
    wrong = client.get(f"/mlapps/{mlapp}/alerts", params={"label": "shop"}, headers={"Accept": "text/html"})
    assert wrong.status_code == 422
    assert "the label &#39;shop&#39; is not key=value" in wrong.text


def test_somebody_sees_the_alerts_of_their_mlapps_only(
    client_with: Callable[[str, str], httpx.Client], platform: Settings, mlapp: str
):
    viewer = client_with(VIEWER, mlapp)
    listed = viewer.get("/alerts?state=all").text
    assert "low sales" in listed
    assert "slow answers" not in listed
    assert viewer.get("/alerts", params={"mlapp_id": "churn"}).status_code == 403
    assert viewer.get("/mlapps/churn/alerts").status_code == 403
    foreign = alerts(platform, mlapp_id="churn")["alert_id"].iloc[0]
    assert viewer.get(f"/mlapps/{mlapp}/alerts/{foreign}").status_code == 404
    for unknown in (foreign, "no-such-alert"):
        answer = viewer.get(f"/alerts/{unknown}", headers={"Accept": "text/html"})
        assert answer.status_code == 404
        assert "slow answers" not in answer.text
    assert viewer.post("/silences", data={"matchers": "mlapp=churn", "duration": "1h", "comment": "x"}).status_code == 403  # fmt: skip


def test_who_may_not_answer_is_shown_no_button_and_refused(
    client_as: Callable[[str], httpx.Client], platform: Settings, mlapp: str
):
    alert_id = alert_of(platform, mlapp, "north")
    here = f"/mlapps/{mlapp}/alerts/{alert_id}"
    assert "Acknowledge" not in client_as(VIEWER).get(here).text
    assert client_as(VIEWER).post(f"{here}/acknowledge").status_code == 403
    assert client_as(VIEWER).post(f"{here}/close", data={"comment": "no"}).status_code == 403
    approver = client_as(APPROVER).get(here).text
    assert "Acknowledge" in approver
    assert "Silence alerts like this one" not in approver
    assert state_of(platform, alert_id) == "firing"


def test_an_alert_is_acknowledged_and_closed_with_its_reason(page: Page, platform: Settings, mlapp: str):
    page.goto(f"/mlapps/{mlapp}/alerts")
    page.locator("tr", has_text="shop=north").get_by_role("link").click()
    alert_id = alert_of(platform, mlapp, "north")
    page.get_by_text("is firing", exact=False).wait_for()
    assert_accessible(page)
    take_pictures(page, "alert")
    page.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Comment").fill("I look into it")
    assert_accessible(page)
    dialog.get_by_role("button", name="Acknowledge").click()
    page.locator(".toast", has_text="The alert is acknowledged now.").wait_for()
    page.get_by_role("cell", name="acknowledged").wait_for()
    (transition,) = [
        each for each in show_alert(platform, alert_id).transitions if each["state"] == "acknowledged"
    ]
    assert (transition["who"], "I look into it" in transition["reason"]) == ("ada", True)

    page.reload()
    page.get_by_role("cell", name="acknowledged").wait_for()
    assert page.get_by_role("button", name="Acknowledge").count() == 0
    page.get_by_role("button", name="Close", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Close the alert").click()
    assert dialog.is_visible(), "a reason is asked for"
    dialog.get_by_label("Reason").fill("a holiday")
    dialog.get_by_role("button", name="Close the alert").click()
    page.get_by_role("cell", name="resolved").wait_for()
    assert state_of(platform, alert_id) == "resolved"
    page.goto(f"/mlapps/{mlapp}/alerts")
    assert page.locator("tr", has_text="shop=north").count() == 0
    page.get_by_label("State").select_option("Open and past")
    page.locator("tr", has_text="shop=north").wait_for()
    assert "state=all" in page.url


def test_somebody_who_was_faster_is_told_and_the_page_is_fresh(page: Page, platform: Settings, mlapp: str):
    alert_id = alert_of(platform, mlapp, "south")
    page.goto(f"/mlapps/{mlapp}/alerts/{alert_id}")
    page.get_by_text("is firing", exact=False).wait_for()
    acknowledge_alert(platform, alert_id, who=person("bea"), comment="mine")
    wait_for(lambda: show_alert(platform, alert_id).alert["acknowledged_by"] == "bea")
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    page.locator(".toast.error", has_text="is acknowledged already: by bea").wait_for()
    page.get_by_text("by bea").first.wait_for()
    assert page.get_by_role("button", name="Acknowledge").count() == 0


def test_a_silence_is_made_from_an_alert_and_ended(page: Page, platform: Settings, mlapp: str):
    alert_id = alert_of(platform, mlapp, "west")
    page.goto(f"/mlapps/{mlapp}/alerts/{alert_id}")
    page.get_by_role("button", name="Silence").click()
    dialog = page.get_by_role("dialog")
    assert "shop=west" in dialog.get_by_label("Conditions on labels").input_value()
    dialog.get_by_label("For").select_option("8h")
    dialog.get_by_label("Reason").fill("known")
    dialog.get_by_role("button", name="Silence").click()
    page.locator(".toast", has_text="is in force for 8h").wait_for()
    (made,) = [each for each in list_silences(platform) if each.comment == "known"]
    assert 'shop="west"' in [str(each) for each in matchers_of(made)]
    page.goto(f"/mlapps/{mlapp}/alerts")
    page.locator("tr", has_text="silenced by ada").wait_for()

    page.goto("/silences")
    assert_accessible(page)
    take_pictures(page, "silences")
    row = page.locator("tr", has_text="known")
    row.get_by_role("button", name="End").click()
    page.get_by_role("dialog").get_by_role("button", name="End it now").click()
    page.locator(".toast", has_text="has ended").wait_for()
    assert page.locator("tr", has_text="known").count() == 0
    page.goto("/silences?ended=yes")
    page.locator("tr", has_text="known").get_by_text("ended").wait_for()


def test_a_silence_that_would_mute_everything_is_refused_and_stays_to_be_mended(
    page: Page, page_problems: PageProblems
):
    page_problems.expect("422")
    page.goto("/silences")
    page.get_by_role("button", name="New silence").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Conditions on labels").fill("mlapp=~.*")
    dialog.get_by_label("Reason").fill("quiet please")
    dialog.get_by_role("button", name="Silence").click()
    page.locator(".toast.error", has_text="would mute every alert").wait_for()
    assert dialog.get_by_label("Reason").input_value() == "quiet please"


def test_rules_are_checked_tried_and_applied(page: Page, platform: Settings, mlapp: str):
    page.goto(f"/mlapps/{mlapp}/alerts/rules")
    editor = page.get_by_label("The section alerts of the definition")
    before = editor.input_value()
    editor.fill(before.replace("below: 10", "below: ten"))
    problem = page.get_by_role("alert")
    problem.wait_for()
    assert_accessible(page)
    problem.get_by_role("link", name="line 2").click()
    assert page.evaluate("document.activeElement.selectionStart") == len("alerts:\n")
    editor.fill(before.replace("below: 10", "below: 25"))
    page.get_by_text("1 rules, valid").wait_for()
    page.get_by_role("button", name="Try on history").click()
    outcome = page.locator("#outcomes tr")
    outcome.wait_for()
    assert re.sub(r"\s+", " ", outcome.inner_text()).startswith("low sales 3 6 3 0 ")
    assert_accessible(page)
    take_pictures(page, "rules")
    assert get_definition(platform, mlapp).version == 1

    page.get_by_role("button", name="Apply").click()
    page.locator(".toast", has_text="Version 2 is in force.").wait_for()
    page.get_by_text("version 2, applied by ada").wait_for()
    definition = get_definition(platform, mlapp)
    assert "below: 25" in definition.source_yaml
    assert definition.source_yaml.endswith("policy: {model_policy: manual}\n")


def test_rules_made_from_an_older_version_are_not_applied(
    client: httpx.Client, client_as: Callable[[str], httpx.Client], platform: Settings, mlapp: str
):
    here = f"/mlapps/{mlapp}/alerts/rules"
    version = get_definition(platform, mlapp).version
    text = "alerts:\n  - {name: low sales, type: kpi, kpi: sales, below: 3}\n"
    assert client_as(VIEWER).post(f"{here}/apply", data={"version": version, "text": text}).status_code == 403
    stale = client_as(DATA_SCIENTIST).post(f"{here}/apply", data={"version": version - 1, "text": text})
    assert f"is at version {version} now" in stale.text
    assert "Nothing was applied" in stale.headers["HX-Trigger"]
    other = client.post(f"{here}/apply", data={"version": version, "text": text + "mlapp: elsewhere\n"})
    assert "Nothing was applied" in other.headers["HX-Trigger"] or "not valid" in other.headers["HX-Trigger"]
    assert get_definition(platform, mlapp).version == version


def test_a_list_shows_what_comes_while_somebody_looks(page: Page, platform: Settings, mlapp: str):
    with page.expect_response("**/live**"):
        page.goto(f"/mlapps/{mlapp}/alerts")
    assert page.locator("tr", has_text="shop=new").count() == 0
    now_ms = time.time_ns() // 1_000_000
    point = KpiPoint(name="sales", labels={"shop": "new"}, timestamp_ms=now_ms, value=1.0, model_id="")
    upload_kpis(platform, mlapp, "sales.csv", [point], who=person("ada"))
    page.locator("tr", has_text="shop=new").wait_for()


def test_routes_are_shown_and_tried_where_the_file_is_known(
    server_settings: Settings, server_database: Database, tmp_path: Path
):
    file = tmp_path / "notifications.yaml"
    file.write_text(ROUTES, encoding="utf-8")
    settings = dataclasses.replace(
        server_settings, server=dataclasses.replace(server_settings.server, notifications_file=str(file))
    )
    session = signed_in(server_database, ACCOUNT_OF[ADMIN])
    with served(make_context(settings, server_database)) as url, session.client(url) as client:
        [first, second] = client.get("/api/v1/notification-routes").json()
        assert (first["path"], first["receiver"], first["matchers"]) == ("alerts", "team", [])
        assert (second["name"], second["depth"], second["targets"]) == ("urgent", 1, ["team/webhook/0"])
        shown = client.get("/notifications").text
        assert "team/webhook/0" in shown
        assert "severity=&#34;critical&#34;" in shown
        with http_receiver() as receiver:
            file.write_text(ROUTES.replace("http://127.0.0.1:9/", receiver.url("/team")), encoding="utf-8")
            sent = client.post("/notifications/test", data={"route": "urgent"})
            assert "A test message was sent to team/webhook/0" in sent.headers["HX-Trigger"]
            told = client.post("/api/v1/notification-routes/test", json={"route": "urgent"})
            assert told.json() == [{"target": "team/webhook/0", "error": ""}]
            assert [post.title.startswith("[TEST]") for post in receiver.at("/team")] == [True, True]
        wait_for(
            lambda: client.get("/api/v1/actions", params={"action": "test_notification"}).json()["items"],
            "the audit log does not tell",
        )
        failed = client.post("/notifications/test", data={"route": "urgent"})
        assert "team/webhook/0: unavailable" in failed.headers["HX-Trigger"]
        assert "unavailable" in client.post(
            "/api/v1/notification-routes/test", json={"route": "urgent"}
        ).json()[0]["error"]  # fmt: skip
        unknown = client.post("/notifications/test", data={"route": "other"}, headers={"Accept": "text/html"})
        assert unknown.status_code == 404
        assert "there is no route" in unknown.text
        file.write_text("receivers: []\n", encoding="utf-8")
        assert "is not a valid file of notifications" in client.get("/notifications").text


def test_without_the_notifiers_file_the_page_says_how_to_name_it(page: Page, client: httpx.Client):
    page.goto("/notifications")
    page.get_by_text("This server does not know the notifier's file").wait_for()
    assert_accessible(page)
    unknown = client.get("/api/v1/notification-routes")
    assert unknown.json()["type"] == "urn:mcenter:problem:no-notifications-file"
    assert (
        "does not know" in client.post("/notifications/test", data={"route": "alerts"}).headers["HX-Trigger"]
    )


@pytest.mark.usefixtures("mlapp")
@pytest.mark.long  # every theme and width
def test_the_lists_look_well(page: Page):
    for name, path in (("alerts", "/alerts?state=all"), ("alerts-mlapp", "/mlapps/churn/alerts")):
        page.goto(path)
        assert_accessible(page)
        take_pictures(page, name)
