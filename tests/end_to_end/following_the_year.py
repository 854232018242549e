"""What a person does in the pages after the demo, from the printed link on, each step by what the pages offer."""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from playwright.sync_api import expect

from parallelm.mlops import mlops
from tests.server.browser.looking import option_of
from tests.server.browser.watching import PageProblems

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

MLAPP: Final = "flight-delays"
INPUT_RULE: Final = "reads other weather than it learned"
KPI: Final = "on-time rate"
_PASSWORD: Final = "four words make sense"  # noqa: S105 - of an account of a stack that only the test has


@dataclass(frozen=True)
class Person:
    """Somebody with a browser, in New York."""

    page: Page
    problems: PageProblems
    folder: Path

    def tab(self, name: str) -> None:
        """Go to another page of the MLApp."""
        self.page.get_by_role("navigation", name=f"Pages of {MLAPP}").get_by_role(
            "link", name=name, exact=True
        ).click()

    def answer(self, button: Locator, submit: str, comment: str) -> None:
        """Open a dialog, say why, and send it."""
        button.click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("textbox").last.fill(comment)
        dialog.get_by_role("button", name=submit, exact=True).click()

    def told(self, text: str) -> None:
        """Wait for a message about what was done."""
        self.page.locator(".toast", has_text=text).first.wait_for()


def follow_the_year(browser: Browser, link: str, folder: Path, month: str) -> None:
    """Do all of it; ``month`` is the one whose model was broken, as ``2013-08``."""
    address = urlsplit(link)
    context = browser.new_context(
        base_url=f"{address.scheme}://{address.netloc}", timezone_id="America/New_York", locale="en-GB"
    )
    context.set_default_timeout(30_000)
    person = Person(context.new_page(), PageProblems(address.netloc), folder)
    person.problems.watch(person.page)
    signs_in(person, link)
    sees_the_broken_month(person, month)
    reads_why_the_canary_was_rolled_back(person, month)
    silences_the_alert(person)
    approves_a_model(person)
    corrects_the_kpi(person, month)
    takes_a_capture_and_reads_it_offline(person, browser, month)
    context.close()
    person.problems.check()


def signs_in(person: Person, link: str) -> None:
    """By the link, which works once, and later by the password."""
    page = person.page
    page.goto(link)
    page.get_by_label("Name").fill("Grace")
    page.get_by_label("Password").fill(_PASSWORD)
    page.get_by_label("The same again").fill(_PASSWORD)
    page.get_by_role("button", name="Choose").click()
    page.get_by_role("link", name=MLAPP).first.wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Name").fill("grace")
    page.get_by_label("Password").fill(_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=MLAPP).first.click()


def sees_the_broken_month(person: Person, month: str) -> None:
    """In the Health View the pressure that the model confuses is the worst feature, with both histograms."""
    person.tab("Health")
    page = person.page
    page.goto(f"{page.url.partition('?')[0]}?from={month}-01&to={month}-04")
    first = page.get_by_role("region", name=re.compile("^Feature ")).first
    expect(first).to_have_attribute("aria-label", re.compile("pressure|visib"))
    histograms = option_of(first.locator("[data-chart-url]"))["series"]
    assert len(histograms) == 2, "training and inference"


def reads_why_the_canary_was_rolled_back(person: Person, month: str) -> None:
    """On the tab of canaries, and down to the numbers on the page of the alert."""
    page = person.page
    page.get_by_role("navigation", name="What is compared").get_by_role("link", name="Canary").click()
    canary = page.get_by_role("region", name=re.compile(f"^Canary .*{month}")).first
    expect(canary).to_contain_text("rolled back")
    expect(canary).to_contain_text(f"alert '{INPUT_RULE}' (critical) fired")
    person.tab("Alerts")
    page.goto(f"{page.url.partition('?')[0]}?from={month}-01&to={month}-04")
    page.get_by_label("State").select_option("Open and past")
    page.get_by_role("region", name=f"Alerts of rule {INPUT_RULE}").get_by_role("link").first.click()
    expect(page.get_by_text(f"rule '{INPUT_RULE}' (health) as of version 1").first).to_be_visible()


def silences_the_alert(person: Person) -> None:
    """From its page."""
    person.answer(person.page.get_by_role("button", name="Silence"), "Silence", "known: columns of weather")
    person.told("is in force for")
    person.page.goto("/silences")
    expect(person.page.locator("tr", has_text="known: columns of weather")).to_be_visible()


def approves_a_model(person: Person) -> None:
    """That waits for approval, with the live model beside it; an agent runs the node, so that it becomes live."""
    page = person.page
    page.goto(f"/mlapps/{MLAPP}")
    person.tab("Models")
    review = page.locator("section.review").last
    name = review.get_by_role("link").first.inner_text()
    person.answer(review.get_by_role("button", name="Approve", exact=True), "Approve", "seen with dispatch")
    person.told("requested")
    page.get_by_role("link", name=name).first.click()
    expect(page.get_by_text(re.compile("grace approved it: seen with dispatch")).first).to_be_visible()


def corrects_the_kpi(person: Person, month: str) -> None:
    """By a file that is compared before it is sent; the timeline shows the corrected value and no longer the first."""
    page, day = person.page, f"{month}-02"
    page.goto(f"/mlapps/{MLAPP}/timeline?kpi={KPI}&from={month}-01&to={month}-04")
    before = _values(page)
    file = person.folder / "corrected.csv"
    file.write_text(f"kpi,timestamp,value\n{KPI},{day}T12:00:00Z,0.123\n", encoding="utf-8")
    page.goto(f"/mlapps/{MLAPP}/kpis/upload")
    page.get_by_label("Drop a CSV or Parquet file here").set_input_files(file)
    page.get_by_role("button", name="Send 1 point", exact=True).click()
    person.told("1 point was sent, it revises a known point")
    page.goto(f"/mlapps/{MLAPP}/timeline?kpi={KPI}&from={month}-01&to={month}-04")
    after = _values(page)
    assert 0.123 not in before
    assert 0.123 in after
    assert len(after) == len(before)


def _values(page: Page) -> list[float]:
    """Of the KPI on the timeline."""
    return [point[1] for point in option_of(page.locator("figure").first)["series"][0]["data"]]


def takes_a_capture_and_reads_it_offline(person: Person, browser: Browser, month: str) -> None:
    """Its report opens from the disk without a network, and the library reads its rows."""
    page = person.page
    person.tab("Captures")
    page.get_by_role("button", name="Take a capture").click()
    page.get_by_label("From").fill(f"{month}-01")
    page.get_by_label("To", exact=True).fill(f"{month}-08")
    page.get_by_label("Name").fill("broken")
    page.get_by_role("button", name="Take it").click()
    link = page.get_by_role("link", name="Download")
    link.wait_for(timeout=120_000)
    with page.expect_download() as download:
        link.click()
    file = person.folder / download.value.suggested_filename
    download.value.save_as(file)
    with tarfile.open(file) as tar:
        tar.extractall(person.folder / "capture", filter="data")
    offline = browser.new_context(offline=True)
    report = offline.new_page()
    offline_problems = PageProblems("")
    offline_problems.watch(report)
    (path,) = (person.folder / "capture").rglob("report.html")
    report.goto(path.as_uri())
    expect(report.get_by_text(INPUT_RULE).first).to_be_visible()
    expect(report.get_by_text("rolled").first).to_be_visible()
    offline.close()
    offline_problems.check()
    assert mlops.load_time_capture(str(file)).get_mlapp_id() == MLAPP
