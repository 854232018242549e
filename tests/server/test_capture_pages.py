"""Captures in a browser: taken, followed while they are made, downloaded, read offline, deleted."""

from __future__ import annotations

import re
import tarfile
from typing import TYPE_CHECKING

from tests.server.browser.looking import assert_accessible, take_pictures
from tests.server.seed import MLAPP

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.server.browser.watching import PageProblems


def test_a_capture_is_taken_downloaded_and_deleted(page: Page, tmp_path: Path):
    page.goto(f"/mlapps/{MLAPP}/captures")
    page.get_by_text("No capture yet").wait_for()
    page.get_by_role("button", name="Take a capture").click()
    page.get_by_label("From").fill("2026-05-01")
    page.get_by_label("To", exact=True).fill("2026-06-01")
    page.get_by_label("Name").fill("May")
    page.get_by_role("button", name="Take it").click()
    link = page.get_by_role("link", name="Download")
    link.wait_for(timeout=60_000)
    assert_accessible(page)
    take_pictures(page, "captures")
    with page.expect_download() as download:
        link.click()
    file = tmp_path / download.value.suggested_filename
    assert file.name == f"timeline_capture_May_{MLAPP}.tar"
    download.value.save_as(file)
    with tarfile.open(file) as tar:
        report = next(name for name in tar.getnames() if name.endswith(".html"))
        text = tar.extractfile(report).read().decode()
    assert "slow answers" in text or "other customers" in text or MLAPP in text
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("No capture yet").wait_for()


def test_a_range_that_is_none_is_told_and_what_was_written_stays(page: Page, page_problems: PageProblems):
    page_problems.expect("422")
    page.goto(f"/mlapps/{MLAPP}/captures")
    page.get_by_role("button", name="Take a capture").click()
    page.get_by_label("From").fill("yesterday evening")
    page.get_by_label("To", exact=True).fill("2026-06-01")
    page.get_by_role("button", name="Take it").click()
    page.get_by_text(re.compile("yesterday evening")).wait_for()
    assert page.get_by_label("From").input_value() == "yesterday evening"
