"""Each page of the menu, and those of an MLApp that act, opened in a real browser by somebody of each role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from parallelm.server.access.matrix import ACTIONS, ROLES
from parallelm.server.pages import menu
from tests.server.accounts import ACCOUNT_OF, signed_in
from tests.server.run_records import MLAPP as NIGHTLY
from tests.server.seed import MLAPP

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from parallelm.server.accounts.database import Database
    from tests.server.browser.watching import PageProblems

LOOKS: Final = ""
"""For whoever may open the page."""
BUTTONS: Final[dict[str, dict[str, str]]] = {
    "/": {"Define an MLApp": "mlapps.write"},
    "/alerts": {"Filter": LOOKS, "Notifications": LOOKS, "Silences": LOOKS},
    "/models": {"Filter": LOOKS},
    "/kpis": {"Upload a file": "kpis.write", "what changed it": LOOKS, "what moves with it": LOOKS},
    "/hosts": {"Filter": LOOKS},
    "/hosts/web-1": {
        "hour": LOOKS, "day": LOOKS, "7 days": LOOKS, "30 days": LOOKS,
        "Drain": "agents.write", "Remove": "agents.write",
    },
    "/schedule": {"Week after": LOOKS, "Week before": LOOKS},
    "/report": {"Earlier": LOOKS, "Later": LOOKS, "Print": LOOKS},
    "/operations": {"Show answered ones too": LOOKS},
    "/audit": {"Show": LOOKS},
    "/users": {"New account": LOOKS, "New group": LOOKS},
    "/erase": {"Show what there is": LOOKS},
    f"/mlapps/{NIGHTLY}": {"Pause": "mlapps.run", "Run now": "mlapps.run", "Stop": "mlapps.run"},
    f"/mlapps/{NIGHTLY}/definition": {"Apply": "mlapps.write", "Delete": "mlapps.write"},
    f"/mlapps/{NIGHTLY}/captures": {"Import": "captures.write", "Take a capture": "captures.write"},
    f"/mlapps/{NIGHTLY}/models": {"Filter": LOOKS, "Upload a model": "models.upload"},
    f"/mlapps/{MLAPP}/models": {
        "Filter": LOOKS, "Compare the two chosen": LOOKS, "Upload a model": "models.upload",
    },
}  # fmt: skip
"""Buttons of each page, with the action that shows them."""
AS_THINGS_ARE: Final = {
    "Approve": "models.review", "Reject": "models.review", "Roll back": "models.review",
    "Pin": "models.review", "Unpin": "models.review",
    "Send again": "operations.write", "Give up": "operations.write",
}  # fmt: skip
"""Buttons that are there when there is something to do."""
CONTROLS: Final = "main button:visible, main a.button:not(nav.pages a):visible"
"""Lists have further pages where other tests have left much."""


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("nightly")
def test_a_page_has_the_buttons_that_a_role_may_use(
    role: str,
    browser: Browser,
    server_url: str,
    server_database: Database,
    page_problems: PageProblems,
):
    may = {LOOKS, *(name for name, action in ACTIONS.items() if role in action.roles)}
    entries = [each for each in menu() if not each.of_mlapp]
    closed = {each.path for each in entries if each.action not in may}
    assert {each.path for each in entries} <= set(BUTTONS), "say which buttons the page has"
    context = browser.new_context(base_url=server_url)
    context.set_default_timeout(30_000)
    context.add_cookies([signed_in(server_database, ACCOUNT_OF[role]).browser_cookie(server_url)])
    page = context.new_page()
    page_problems.watch(page)
    wrong = {}
    for path, buttons in BUTTONS.items():
        if path in closed:
            continue
        answer = page.goto(path)
        assert answer is not None
        expect(page.get_by_text("Asking …")).to_have_count(0)
        found = page.locator(CONTROLS).all_inner_texts()
        shown = {each.strip() for each in found}
        wanted = {name for name, action in buttons.items() if action in may}
        allowed = wanted | {name for name, action in AS_THINGS_ARE.items() if action in may}
        if answer.status != 200 or not wanted <= shown <= allowed:
            wrong[path] = (answer.status, sorted(shown))
    page.goto("/")
    offered = page.locator("nav[aria-label] a").all_inner_texts()
    assert offered == [each.title for each in entries if each.path not in closed]
    context.close()
    assert not wrong, wrong
    page_problems.check()
