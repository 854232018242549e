"""What all pages have in common, in a real browser: theme, time zone, keyboard, no request elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.server.browser.looking import assert_accessible, take_pictures

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page


def theme_of(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_theme_is_the_systems_until_somebody_chooses_which_is_kept(page: Page) -> None:
    page.goto("/")
    light = theme_of(page)
    page.emulate_media(color_scheme="dark")
    dark = theme_of(page)
    assert dark != light
    button = page.get_by_role("button", name="Dark theme")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert theme_of(page) == light
    page.reload()
    assert theme_of(page) == light


def test_the_keyboard_reaches_the_content_first(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_browsers_zone_is_known_from_the_first_visit_on(page: Page) -> None:
    page.goto("/")
    assert page.evaluate("document.documentElement.dataset.zone") == "Europe/Berlin"
    page.reload()
    assert 'data-zone="Europe/Berlin"' in page.content()


def test_what_pages_load_is_packed_and_kept_until_it_changes(client: httpx.Client) -> None:
    [script] = re.findall(r'data-echarts="([^"]+)"', client.get("/", headers={"Accept": "text/html"}).text)
    answer = client.get(script)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.num_bytes_downloaded < 500_000 < len(answer.content)
    assert "Cache-Control" not in client.get(script.partition("?")[0]).headers


def test_the_first_page_is_accessible(page: Page) -> None:
    page.goto("/")
    assert_accessible(page)
    take_pictures(page, "overview")
