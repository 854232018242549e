"""A server that a proxy shows below a path: no address of its pages leaves that path, whether or not the proxy takes it away."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from parallelm.server.run import make_context
from tests.server.browser.looking import draw_all
from tests.server.browser.watching import PageProblems
from tests.server.seed import MLAPP
from tests.server.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Request

    from parallelm.connections import Settings
    from parallelm.server.accounts.database import Database
    from tests.server.accounts import SignedIn

PREFIX = "/ml/center"
PAGES = (
    "/",
    *(f"/mlapps/{MLAPP}{page}" for page in ("", "/health", "/timeline", "/models")),
    "/audit",
    "/users",
    "/profile",
)
ADDRESSES = re.compile(r"""(?:href|src|action|hx-[a-z]+|sse-connect|data-[a-z]+-url)="(/[^"]*)\"""")


@pytest.fixture(scope="module")
def below(server_settings: Settings, server_database: Database) -> Iterator[str]:
    """Address of the server without the path, as the proxy knows it."""
    own = dataclasses.replace(server_settings.server, path_prefix=f"{PREFIX}/")
    with served(make_context(dataclasses.replace(server_settings, server=own), server_database)) as url:
        yield url


def test_every_address_of_a_page_is_below_the_path_and_answered(below: str, administrator: SignedIn):
    with administrator.client(below) as client:
        for page in PAGES:
            text = client.get(page).raise_for_status().text  # as from a proxy that takes the path away
            addresses = ADDRESSES.findall(text)
            assert len(addresses) > 5, page
            assert [each for each in addresses if not each.startswith(f"{PREFIX}/")] == [], page
        assert client.get(f"{PREFIX}/api/v1/mlapps/{MLAPP}").json()["mlapp_id"] == MLAPP
        assert client.get("/api/v1/openapi.json").json()["servers"] == [{"url": PREFIX}]


def test_who_is_unknown_is_led_to_the_sign_in_and_back_below_the_path(below: str):
    said = httpx.get(f"{below}/mlapps/{MLAPP}", headers={"Accept": "text/html"})
    assert said.headers["location"].startswith(f"{PREFIX}/sign-in?next=%2Fmlapps")


def test_a_browser_asks_for_nothing_outside_the_path(browser: Browser, below: str, administrator: SignedIn):
    context = browser.new_context(base_url=f"{below}{PREFIX}/")
    context.add_cookies([administrator.browser_cookie(below)])
    page, outside, problems = context.new_page(), list[str](), PageProblems(urlsplit(below).netloc)

    def note(request: Request) -> None:
        if not urlsplit(request.url).path.startswith(f"{PREFIX}/"):
            outside.append(request.url)

    page.on("request", note)
    problems.watch(page)
    page.goto(f"mlapps/{MLAPP}/timeline")
    draw_all(page)
    page.get_by_role("link", name="Overview").first.click()
    page.get_by_role("link", name=MLAPP).first.click()
    page.wait_for_load_state()
    assert urlsplit(page.url).path == f"{PREFIX}/mlapps/{MLAPP}"
    context.close()
    assert outside == []
    problems.check()
