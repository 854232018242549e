"""Helpers of tests that look at a page: charts that are drawn, accessibility, pictures for whoever builds the page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.server.browser.chromium import browser_tools

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDE, NARROW = (1440, 900), (390, 844)


def assert_accessible(page: Page) -> None:
    """axe finds nothing against WCAG 2.2 AA, in the light and in the dark theme."""
    for theme in ("light", "dark"):
        use_theme(page, theme)
        page.evaluate(browser_tools().axe)
        found = page.evaluate("rules => axe.run(document, {runOnly: rules, iframes: false})", _RULES)
        assert not found["violations"], "\n".join(_told(each, theme) for each in found["violations"])
    use_theme(page, "light")


def use_theme(page: Page, theme: str) -> None:
    """As if the viewer had chosen it."""
    page.evaluate(
        "theme => { document.documentElement.dataset.theme = theme; document.dispatchEvent(new CustomEvent('theme')); }",
        theme,
    )


def charts(page: Page) -> Locator:
    """The charts of a page, once all that are in sight are drawn."""
    page.wait_for_function(
        """() => [...document.querySelectorAll('[data-chart-url] .canvas[aria-busy]')].every(
            each => each.getBoundingClientRect().top > innerHeight + 200)"""
    )
    return page.locator("[data-chart-url]")


def draw_all(page: Page) -> Locator:
    """Scroll through a page until each chart is drawn."""
    for figure in page.locator("[data-chart-url]").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".canvas:not([aria-busy])").wait_for()
    page.evaluate("scrollTo(0, 0)")
    return page.locator("[data-chart-url]")


_OPTION: Final = """
async figure => {
  for (const ends = Date.now() + 15000; Date.now() < ends; await new Promise(requestAnimationFrame)) {
    const canvas = figure.querySelector(".canvas:not([aria-busy])");
    const chart = canvas && window.echarts && window.echarts.getInstanceByDom(canvas);
    if (chart) return chart.getOption();
  }
  throw new Error("the chart was not drawn: " + figure.textContent);
}
"""


def option_of(figure: Locator) -> dict[str, Any]:
    """What ECharts draws in a chart, once it is drawn."""
    found: dict[str, Any] = figure.evaluate(_OPTION)
    return found


def take_pictures(page: Page, name: str) -> None:
    """Write pictures of the whole page, wide and narrow, light and dark, into the folder that ``PICTURES`` names."""
    folder = os.environ.get("PICTURES")
    if not folder:
        return
    for width, size in (("wide", WIDE), ("narrow", NARROW)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        for theme in ("light", "dark"):
            use_theme(page, theme)
            draw_all(page)
            page.screenshot(path=Path(folder) / f"{name}-{width}-{theme}.png", full_page=True)
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    use_theme(page, "light")


def _told(violation: dict[str, Any], theme: str) -> str:
    nodes = "\n".join(
        f"    {node['html'][:200]}\n    {node['failureSummary']}" for node in violation["nodes"][:4]
    )
    return f"{theme}: {violation['id']}: {violation['help']}\n{nodes}"
