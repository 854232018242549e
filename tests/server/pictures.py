"""Pictures of the pages for README and docs, from the stack that ``make demo KEEP=1`` leaves running: ``make pictures``."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parallelm.connections import ConfigurationError, load_settings
from parallelm.mcenter.local_stack.plan import remembered_ports, settings_path
from parallelm.mcenter.stack_options import default_folder
from parallelm.server.access.matrix import ADMIN
from parallelm.server.access.principal import EVERY_MLAPP
from parallelm.server.accounts import people
from parallelm.server.accounts.database import Database
from parallelm.server.errors import AccountError
from tests.server.accounts import signed_in
from tests.server.browser.chromium import launched
from tests.server.browser.looking import draw_all, use_theme

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAME: Final = "ada"
FOLDER: Final = Path(__file__).parents[2] / "docs" / "images"
MLAPP: Final = "/mlapps/flight-delays"
PICTURES: Final = {
    "health": (f"{MLAPP}/health?from=2013-08-01&to=2013-08-04", "light", 1290),
    "timeline": (f"{MLAPP}/timeline?kpi=on-time%20rate", "light", 1000),
    "models": (f"{MLAPP}/models", "light", 900),
}
"""Address, theme and height of each."""


def main() -> None:
    """Take all of them, or those that are named."""
    folder = default_folder()
    port = remembered_ports(folder).get("server")
    try:
        settings = load_settings({}, file=settings_path(folder))
    except ConfigurationError as error:
        sys.exit(f"{error}; run `make demo KEEP=1` first")
    database = Database(settings.server.database_url)
    with contextlib.suppress(AccountError), database.writing() as sql:
        people.create(sql, NAME, time.time_ns() // 1_000_000, grants=[(ADMIN, EVERY_MLAPP)])
    url = f"http://127.0.0.1:{port}"
    with launched() as browser:
        context = browser.new_context(base_url=url, timezone_id="America/New_York", locale="en-GB")
        context.add_cookies([signed_in(database, NAME).browser_cookie(url)])
        page = context.new_page()
        for wanted in sys.argv[1:] or PICTURES:
            take(page, wanted)
    database.close()


def take(page: Page, name: str) -> None:
    """One picture."""
    path, theme, height = PICTURES[name]
    page.set_viewport_size({"width": 1280, "height": height})
    page.goto(path)
    page.wait_for_load_state("networkidle")
    use_theme(page, theme)
    draw_all(page)
    page.screenshot(path=FOLDER / f"page-{name}.png")
    sys.stdout.write(f"{name}: {page.url}\n")


if __name__ == "__main__":
    main()
