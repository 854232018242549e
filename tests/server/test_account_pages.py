"""Signing in, the own profile, and users with their roles, in a real browser."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import httpx

from tests.server.accounts import PASSWORD, make_account, signed_in
from tests.server.browser.looking import assert_accessible, take_pictures

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from parallelm.server.accounts.database import Database
    from tests.server.browser.watching import PageProblems


def new_name() -> str:
    return f"n-{uuid.uuid4().hex[:8]}"


def test_somebody_signs_in_and_out_with_keyboard_and_password(
    page: Page, page_problems: PageProblems
) -> None:
    page.context.clear_cookies()
    page.goto("/")
    assert "/sign-in" in page.url
    assert_accessible(page)
    take_pictures(page, "sign-in")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page_problems.expect("401")
    page.keyboard.press("Enter")
    assert "do not fit" in page.get_by_role("alert").inner_text()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()


def test_the_administrator_makes_an_account_gives_it_roles_and_a_link(page: Page, server_url: str) -> None:
    name, team = new_name(), new_name()
    page.goto("/users")
    assert_accessible(page)
    take_pictures(page, "users")
    page.get_by_role("button", name="New group").click()
    page.get_by_role("dialog").get_by_label("Name").fill(team)
    page.get_by_role("button", name="Make the group").click()
    page.wait_for_url(f"**/groups/{team}")
    page.goto("/users")
    page.get_by_role("button", name="New account").click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Make the account").click()
    page.wait_for_url(f"**/users/{name}")
    page.get_by_role("button", name="Add a role").click()
    page.get_by_role("dialog").get_by_label("Role").select_option("approver")
    page.get_by_role("dialog").get_by_label("MLApp").fill("churn")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("cell", name="churn").first.wait_for()
    page.get_by_label(team).check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text(f"The groups of {name}").wait_for()
    page.reload()
    assert page.get_by_label(team).is_checked()
    assert_accessible(page)
    take_pictures(page, "user")
    page.get_by_role("button", name="Link to choose a password").click()
    link = page.locator(".secret code").inner_text()
    assert link.startswith(f"{server_url}/choose-password?link=")

    page.context.clear_cookies()
    page.goto(link)
    assert_accessible(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Choose").click()
    page.get_by_role("link", name=name).click()
    assert "approver on churn" in page.inner_text("main")


def test_an_account_is_disabled_and_enabled(page: Page, server_database: Database, server_url: str) -> None:
    name = make_account(server_database, [("viewer", "*")])
    session = signed_in(server_database, name)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"/users/{name}")
    page.get_by_role("button", name="Disable").click()
    page.get_by_role("button", name="Enable").wait_for()
    with session.client(server_url) as client:
        assert client.get("/api/v1/me").status_code == 401
    page.get_by_role("button", name="Enable").click()
    page.get_by_role("button", name="Disable").wait_for()


def test_a_person_makes_a_token_uses_and_revokes_it(page: Page, server_url: str) -> None:
    title = new_name()
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/profile")
    page.get_by_role("button", name="New token").click()
    page.get_by_label("What uses it").fill(title)
    page.get_by_role("button", name="Make the token").click()
    token = page.locator(".secret code").inner_text()
    asked = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{server_url}/api/v1/me", headers=asked).json()["name"] == "ada"
    page.reload()
    assert token not in page.content()
    assert_accessible(page)
    take_pictures(page, "profile")
    page.get_by_role("row", name=title).get_by_role("button", name="Revoke").click()
    page.get_by_role("row", name=title).get_by_text("revoked").wait_for()
    assert httpx.get(f"{server_url}/api/v1/me", headers=asked).status_code == 401


def test_a_weak_password_is_told_in_words_and_the_form_stays(
    page: Page, server_database: Database, server_url: str, page_problems: PageProblems
) -> None:
    name = make_account(server_database, [("viewer", "*")], password=PASSWORD)
    page.context.clear_cookies()
    page.context.add_cookies([signed_in(server_database, name).browser_cookie(server_url)])
    page.goto("/profile")
    page.get_by_role("button", name="Change the password").click()
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill("aaaaaaaaaaaaaaa")
    page.get_by_label("The same again").fill("aaaaaaaaaaaaaaa")
    page_problems.expect("422")
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_text("repeats few characters").wait_for()
    for label in ("New password", "The same again"):
        page.get_by_label(label).fill("quite another sentence")
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_text("Your password is changed").wait_for()
