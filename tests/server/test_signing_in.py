"""Signing in and out in a browser's words: forms, cookies, redirects."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from parallelm.server.access.authentication import cookie_name
from parallelm.server.accounts import first_administrator
from parallelm.server.accounts.database import Database
from parallelm.server.run import make_context
from tests.server.accounts import PASSWORD, opened_database, signed_in
from tests.server.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings

HTML = {"Accept": "text/html"}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Database]:
    """A database without accounts."""
    database = Database(f"sqlite:///{tmp_path / 'fresh.db'}")
    yield database
    database.close()


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD, go_on: str = "/") -> httpx.Response:
    return client.post("/sign-in", data={"name": name, "password": password, "next": go_on}, headers=HTML)


def hidden_token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf-token" content="([0-9a-f]{64})"', page.text)
    assert found
    return found[1]


def test_somebody_unknown_signs_in_first_and_comes_back_to_the_page_that_was_asked_for(
    anonymous: httpx.Client,
):
    asked = anonymous.get("/?sort=name", headers=HTML)
    assert asked.status_code == 303
    form = anonymous.get(asked.headers["Location"], headers=HTML)
    assert 'value="/?sort=name"' in form.text

    done = sign_in(anonymous, "Ada ", go_on="/?sort=name")

    assert (done.status_code, done.headers["Location"]) == (303, "/?sort=name")
    page = anonymous.get(done.headers["Location"], headers=HTML)
    assert page.status_code == 200
    assert "ada" in page.text


def test_the_cookie_of_a_session_is_for_no_script_and_for_no_other_site(anonymous: httpx.Client):
    cookie = sign_in(anonymous, "ada").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie, "a browser would not send it over plain HTTP"


@pytest.mark.parametrize(
    "where", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "//["]
)
def test_nobody_is_led_to_another_site(anonymous: httpx.Client, where: str):
    assert sign_in(anonymous, "ada", go_on=where).headers["Location"] == "/"


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(anonymous: httpx.Client):
    wrong, unknown = sign_in(anonymous, "viewer-of-tests", "wrong"), sign_in(anonymous, "nobody", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert "do not fit" in wrong.text
    assert "Set-Cookie" not in wrong.headers
    assert re.sub(r"[0-9a-f]{32}", "", wrong.text.replace("viewer-of-tests", "nobody")) == re.sub(
        r"[0-9a-f]{32}", "", unknown.text
    )


def test_signing_in_begins_a_new_session_and_ends_the_one_before(
    anonymous: httpx.Client, server_database: Database
):
    sign_in(anonymous, "ada")
    cookie = cookie_name(server_database)
    first = anonymous.cookies[cookie]
    token = hidden_token(anonymous.get("/", headers=HTML))
    anonymous.post("/sign-in", data={"name": "ada", "password": PASSWORD, "csrf_token": token}, headers=HTML)
    assert anonymous.cookies[cookie] != first
    old = httpx.get(f"{anonymous.base_url}/", cookies={cookie: first}, headers=HTML)
    assert old.status_code == 303


def test_signing_out_ends_the_session_in_the_database(server_database: Database, server_url: str):
    session = signed_in(server_database, "ada")
    with session.client(server_url, headers=HTML) as client:
        out = client.post("/sign-out", data={"csrf_token": session.csrf_token})
        assert out.headers["Location"] == "/sign-in"
    with session.client(server_url) as client:
        assert client.get("/", headers=HTML).status_code == 303


def test_what_changes_something_needs_the_token_of_the_session(server_url: str, server_database: Database):
    session = signed_in(server_database, "ada")
    with httpx.Client(base_url=server_url, cookies={session.cookie: session.secret}) as client:
        assert client.post("/sign-out").status_code == 403
        assert client.post("/sign-out", headers={"X-CSRF-Token": "0" * 64}).status_code == 403
        assert client.get("/", headers=HTML).status_code == 200, "the session goes on"
        assert client.post("/sign-out", headers={"X-CSRF-Token": session.csrf_token}).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://evil.example"},
    ],
    ids=str,
)
def test_no_other_site_can_sign_somebody_in(anonymous: httpx.Client, headers: dict[str, str]):
    done = anonymous.post("/sign-in", data={"name": "ada", "password": PASSWORD}, headers=headers)
    assert done.status_code == 403
    assert "Set-Cookie" not in done.headers


def test_the_first_administrator_is_made_by_a_link_that_works_once(
    fresh: Database, server_settings: Settings
):
    with (
        served(make_context(server_settings, fresh)) as url,
        httpx.Client(base_url=url, headers=HTML) as client,
    ):
        link = first_administrator.make_link(fresh, url, time.time_ns() // 1_000_000)
        assert link
        file = first_administrator.file_of(fresh)
        assert file
        assert (file.read_text("ascii").strip(), file.stat().st_mode & 0o777) == (link, 0o600)
        secret = link.partition("link=")[2]
        form = {"link": secret, "name": "Grace", "password": PASSWORD, "repeated": PASSWORD}
        assert client.get(link).status_code == 200
        assert "differ" in client.post("/choose-password", data=form | {"repeated": "other"}).text
        assert (
            "at least 12"
            in client.post("/choose-password", data=form | {"password": "x", "repeated": "x"}).text
        )

        done = client.post("/choose-password", data=form)

        assert done.status_code == 303
        assert "grace" in client.get("/").text
        again = httpx.post(f"{url}/choose-password", data=form | {"name": "mallory"}, headers=HTML)
        assert again.status_code == 422
        assert "used up" in again.text
        assert not file.exists()
        assert first_administrator.make_link(fresh, url, time.time_ns() // 1_000_000) is None


def test_a_link_of_yesterday_is_over(fresh: Database, server_settings: Settings):
    with served(make_context(server_settings, fresh)) as url:
        link = first_administrator.make_link(fresh, url, time.time_ns() // 1_000_000 - 24 * 3_600_000)
        assert link
        assert httpx.get(link, headers=HTML).status_code == 422


def test_two_servers_on_one_database_share_sessions(tmp_path: Path, server_settings: Settings):
    with (
        opened_database(f"sqlite:///{tmp_path / 'server.db'}") as here,
        served(make_context(server_settings, here)) as one,
    ):
        there = Database(f"sqlite:///{tmp_path / 'server.db'}")
        with (
            served(make_context(server_settings, there)) as other,
            httpx.Client(headers=HTML) as client,
        ):
            client.post(f"{one}/sign-in", data={"name": "ada", "password": PASSWORD})
            page = client.get(f"{other}/")
            assert page.status_code == 200
            out = {"csrf_token": hidden_token(page)}
            cookies = dict(client.cookies)
            assert client.post(f"{other}/sign-out", data=out).status_code == 303
            for url in (one, other):
                assert httpx.get(f"{url}/", cookies=cookies, headers=HTML).status_code == 303
        there.close()
