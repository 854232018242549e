"""Accounts, groups and tokens over REST, as an administrator and a program use them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from parallelm.server.access.authentication import cookie_name
from parallelm.server.accounts.json_web_tokens import secret_in
from parallelm.server.accounts.links import PATH
from tests.server.accounts import PASSWORD, make_account, signed_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelm.server.accounts.database import Database

VIEWER_ON_ALL = {"role": "viewer", "mlapp_id": "*"}


@pytest.fixture
def api(client: httpx.Client) -> Callable[..., httpx.Response]:
    """Calls of the administrator."""

    def call(method: str, path: str, **sent: Any) -> httpx.Response:
        return client.request(method, f"/api/v1{path}", **sent)

    return call


@pytest.fixture
def user(server_database: Database, server_url: str) -> Iterator[tuple[str, httpx.Client]]:
    """A person with a password, who is signed in, and their client."""
    name = make_account(server_database, [("viewer", "*")], password=PASSWORD)
    with signed_in(server_database, name).client(f"{server_url}/api/v1") as opened:
        yield name, opened


def new_name() -> str:
    return f"n-{uuid.uuid4().hex[:10]}"


def with_token(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"})


def test_a_person_is_made_chooses_a_password_by_the_link_and_has_the_roles(
    api: Callable[..., httpx.Response], server_url: str
):
    name = new_name()
    made = api("POST", "/users", json={"name": name.upper(), "full_name": "Grace", "roles": [VIEWER_ON_ALL]})
    assert made.status_code == 201, made.text
    assert made.json()["name"] == name
    assert made.json()["has_password"] is False
    url = api("POST", f"/users/{name}/password-link").json()["url"]
    assert url.startswith(f"{server_url}{PATH}?link=")

    with httpx.Client(base_url=server_url, headers={"Accept": "text/html"}) as grace:
        form = {"link": url.partition("link=")[2], "password": PASSWORD, "repeated": PASSWORD}
        assert grace.post(PATH, data=form).status_code == 303
        me = grace.get("/api/v1/me").json()
        assert grace.get("/api/v1/users").status_code == 403
    assert (me["name"], me["roles"]) == (name, [VIEWER_ON_ALL])
    assert api("GET", f"/users/{name}").json()["has_password"] is True


def test_a_new_link_ends_the_one_before(api: Callable[..., httpx.Response], user: tuple[str, httpx.Client]):
    first, second = (api("POST", f"/users/{user[0]}/password-link").json()["url"] for _ in range(2))
    assert httpx.get(first).status_code == 422
    assert httpx.get(second).status_code == 200


def test_roles_of_a_group_come_to_those_of_its_members_and_go_with_it(
    api: Callable[..., httpx.Response], user: tuple[str, httpx.Client]
):
    name, client = user
    team = new_name()
    roles = [{"role": "approver", "mlapp_id": "churn"}]
    assert api("POST", "/groups", json={"name": team, "roles": roles, "members": [name]}).status_code == 201
    assert client.get("/me").json()["roles"] == [VIEWER_ON_ALL, *roles]
    assert api("GET", f"/users/{name}").json()["groups"] == [team]
    assert api("DELETE", f"/groups/{team}").status_code == 204
    assert client.get("/me").json()["roles"] == [VIEWER_ON_ALL]


def test_of_two_administrators_neither_undoes_what_the_other_has_just_done(
    api: Callable[..., httpx.Response], user: tuple[str, httpx.Client], client: httpx.Client
):
    name, mine, others = user[0], new_name(), new_name()
    for team in (mine, others):
        api("POST", "/groups", json={"name": team})
    for path, change in ((f"/users/{name}", {"groups": [mine]}), (f"/groups/{mine}", {"members": []})):
        read = api("GET", path).headers["ETag"]
        assert api("PATCH", path, json=change, headers={"If-Match": read}).status_code == 200
        late = api("PATCH", path, json=change, headers={"If-Match": read})
        assert (late.status_code, late.json()["type"]) == (412, "urn:mcenter:problem:changed-meanwhile")
    # One takes the account out of a group, while the page of the other shows it there still.
    api("PATCH", f"/users/{name}", json={"groups": [others]})
    page_of_before = {"known": [mine, others], "groups": [mine, others]}
    assert client.post(f"/users/{name}/groups", data=page_of_before).status_code == 200
    assert api("GET", f"/users/{name}").json()["groups"] == [others]
    page_of_before = {"known": [mine], "groups": [mine]}
    assert client.post(f"/users/{name}/groups", data=page_of_before).status_code == 200
    assert api("GET", f"/users/{name}").json()["groups"] == [others]


def test_a_disabled_account_is_out_with_its_sessions_and_tokens_until_it_is_enabled(
    api: Callable[..., httpx.Response], user: tuple[str, httpx.Client], server_url: str
):
    name, client = user
    token = client.post("/me/tokens", json={"name": "job"}).json()["token"]
    with with_token(server_url, token) as program:
        assert program.get("/me").status_code == 200
        assert api("PATCH", f"/users/{name}", json={"is_disabled": True}).json()["is_disabled"] is True
        assert client.get("/me").status_code == 401
        assert program.get("/me").status_code == 401
        form = {"name": name, "password": PASSWORD}
        assert httpx.post(f"{server_url}/sign-in", data=form).status_code == 401
        api("PATCH", f"/users/{name}", json={"is_disabled": False})
        assert program.get("/me").status_code == 200
        assert client.get("/me").status_code == 401, "a session that has ended stays so"


def test_the_last_administrator_stays_one(api: Callable[..., httpx.Response]):
    for change in ({"is_disabled": True}, {"roles": []}):
        refused = api("PATCH", "/users/ada", json=change)
        assert refused.status_code == 422
        assert "nobody would be left" in refused.json()["detail"]
    assert api("GET", "/me").status_code == 200


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"name": "two words"}, "no name"),
        ({"name": "ada"}, "already"),
        ({"name": "x", "roles": [{"role": "owner"}]}, "viewer"),
        ({"name": "x", "groups": ["nothing"]}, "no group"),
        ({"name": "x", "kind": "robot"}, "person"),
        ({"name": "x", "password": "secret"}, "extra"),
        ({"name": "x\0y"}, "no name"),
        ({"name": "x", "full_name": "nul \0"}, "cannot be shown"),
        ({"name": "x", "roles": [{"role": "viewer", "mlapp_id": "a\0"}]}, "id of an mlapp"),
    ],
    ids=str,
)
def test_an_account_that_cannot_be_is_refused(
    api: Callable[..., httpx.Response], wanted: dict[str, Any], said: str
):
    refused = api("POST", "/users", json=wanted)
    assert refused.status_code in {404, 422}
    assert said in refused.text.lower()
    assert api("GET", "/users/x").status_code == 404


@pytest.mark.parametrize("path", ["/users/%00", "/groups/%00", "/users/%ED%A0%80", "/users/%2e%2e"])
def test_a_name_that_cannot_be_one_is_unknown(api: Callable[..., httpx.Response], path: str):
    assert api("GET", path).status_code in {404, 422}


def test_half_a_sign_of_utf_16_is_refused(client: httpx.Client):
    sent = b'{"name": "x", "full_name": "\\ud800"}'
    refused = client.post("/api/v1/users", content=sent, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422


def test_a_token_is_shown_once_acts_within_its_scopes_and_can_be_revoked(
    user: tuple[str, httpx.Client], server_url: str, server_database: Database
):
    _, client = user
    made = client.post("/me/tokens", json={"name": "report", "scopes": ["mlapps.read"]}).json()
    listed = client.get("/me/tokens").json()
    assert [each["token_id"] for each in listed] == [made["token_id"]]
    assert made["token"] not in client.get("/me/tokens").text
    assert made["token"].startswith(listed[0]["hint"])
    with server_database.reading() as sql:
        raw = sql.connection().exec_driver_sql("SELECT * FROM tokens").all()
    assert not any(made["token"] in str(row) for row in raw)

    with with_token(server_url, made["token"]) as program:
        assert program.get("/me").json()["authenticated_by"] == "token"
        assert program.get("/mlapps").status_code == 200
        assert program.get("/me/tokens").status_code == 403, "a token makes no tokens"
        assert program.get("/users").status_code == 403
        assert client.get("/me/tokens").json()[0]["used_at"] is not None
        assert client.delete(f"/me/tokens/{made['token_id']}").status_code == 204
        refused = program.get("/me")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"


def test_scopes_take_away_and_never_give(user: tuple[str, httpx.Client], server_url: str):
    _, client = user
    wide = client.post(
        "/me/tokens", json={"name": "wide", "scopes": ["users.manage", "models.review"]}
    ).json()
    with with_token(server_url, wide["token"]) as program:
        assert program.get("/users").status_code == 403
        assert program.get("/mlapps/churn").status_code in {403, 404}, "not among its scopes"
    assert client.post("/me/tokens", json={"name": "x", "scopes": ["everything"]}).status_code == 422


ON_ALL = {"role": "admin", "mlapp_id": "*"}


@pytest.mark.parametrize("scopes", [["users.manage"], None], ids=str)
def test_no_token_lets_anybody_in(
    api: Callable[..., httpx.Response], server_url: str, scopes: list[str] | None
):
    service, person = new_name(), new_name()
    api("POST", "/users", json={"name": service, "kind": "service", "roles": [ON_ALL]})
    api("POST", "/users", json={"name": person})
    secret = api("POST", "/me/tokens", json={"name": "accounts", "scopes": scopes}).json()["token"]
    with with_token(server_url, secret) as program:
        for method, path in (
            ("POST", f"/users/{person}/password-link"),
            ("POST", "/users/ada/password-link"),
            ("POST", f"/users/{service}/tokens"),
            ("POST", "/me/tokens"),
            ("PUT", "/me/password"),
        ):
            refused = program.request(method, path, json={"name": "x"})
            assert refused.status_code == 403, path
            assert "sign in with a browser" in refused.json()["detail"]
        for path in (f"/users/{person}/link", f"/users/{service}/tokens"):
            page = httpx.post(f"{server_url}{path}", data={"name": "x"}, headers=program.headers)
            assert page.status_code == 403, path


def test_a_token_with_scopes_gives_no_role_that_allows_more_than_itself(
    api: Callable[..., httpx.Response], server_url: str
):
    viewer = {"role": "viewer", "mlapp_id": "churn"}
    gone, team, made = new_name(), new_name(), new_name()
    api("POST", "/groups", json={"name": team, "roles": [ON_ALL]})
    api("POST", "/users", json={"name": gone, "kind": "service", "roles": [ON_ALL]})
    api("PATCH", f"/users/{gone}", json={"is_disabled": True})

    def token(scopes: list[str] | None) -> httpx.Client:
        sent = {"name": "accounts", "scopes": scopes}
        return with_token(server_url, api("POST", "/me/tokens", json=sent).json()["token"])

    with token(["users.manage", "mlapps.read"]) as limited, token(None) as whole:
        assert limited.post("/users", json={"name": made, "roles": [viewer]}).status_code == 201
        for method, path, sent in (
            ("POST", "/users", {"name": new_name(), "kind": "service", "roles": [ON_ALL]}),
            ("POST", "/users", {"name": new_name(), "groups": [team]}),
            ("PATCH", f"/users/{made}", {"roles": [{"role": "operator", "mlapp_id": "churn"}]}),
            ("PATCH", f"/users/{made}", {"groups": [team]}),
            ("PATCH", f"/users/{gone}", {"is_disabled": False}),
            ("POST", "/groups", {"name": new_name(), "roles": [ON_ALL]}),
            ("PATCH", f"/groups/{team}", {"members": [made]}),
        ):
            refused = limited.request(method, path, json=sent)
            assert refused.status_code == 403, (path, sent)
            assert "on '" in refused.json()["detail"]
        assert api("GET", f"/users/{made}").json()["roles"] == [viewer], "nothing is left of what was refused"
        assert api("GET", f"/users/{gone}").json()["is_disabled"] is True
        changed = limited.patch(f"/users/{gone}", json={"roles": [], "full_name": "gone"})
        assert (changed.status_code, changed.json()["roles"]) == (200, [])
        assert limited.patch(f"/users/{gone}", json={"is_disabled": False}).status_code == 200
        assert whole.patch(f"/users/{made}", json={"roles": [ON_ALL]}).status_code == 200
    api("PATCH", f"/users/{made}", json={"is_disabled": True})


def test_the_token_of_the_originals_login_is_no_session_in_person(
    user: tuple[str, httpx.Client], server_url: str, server_database: Database
):
    login = httpx.post(f"{server_url}/auth/login", json={"username": user[0], "password": PASSWORD})
    token = login.json()["token"]
    with with_token(server_url, token) as program:
        assert program.get("/me").json()["name"] == user[0]
        assert program.post("/me/tokens", json={"name": "x"}).status_code == 403
        changed = {"current": PASSWORD, "new": "a better one for me"}
        assert program.put("/me/password", json=changed).status_code == 403
    secret = secret_in(token)
    assert secret
    for value in (secret, secret.removeprefix("jwt_")):
        with httpx.Client(base_url=server_url, cookies={cookie_name(server_database): value}) as browser:
            assert browser.get("/api/v1/me").status_code == 401, "what is in the token opens no session"


def test_a_first_token_is_made_by_name_and_password(server_url: str, user: tuple[str, httpx.Client]):
    name = user[0]
    sent = {"user": name, "password": PASSWORD, "name": "commands", "scopes": ["mlapps.read"]}
    with httpx.Client(base_url=f"{server_url}/api/v1") as nobody:
        assert nobody.post("/tokens", json=sent | {"password": "wrong"}).status_code == 401
        made = nobody.post("/tokens", json=sent)
    assert (made.status_code, made.json()["scopes"]) == (201, ["mlapps.read"])
    with with_token(server_url, made.json()["token"]) as program:
        assert program.get("/me").json()["name"] == name


def test_a_program_has_an_account_whose_tokens_the_administrator_makes(
    api: Callable[..., httpx.Response], server_url: str, user: tuple[str, httpx.Client]
):
    name = new_name()
    api("POST", "/users", json={"name": name, "kind": "service", "roles": [VIEWER_ON_ALL]})
    assert api("POST", f"/users/{name}/password-link").status_code == 422
    made = api("POST", f"/users/{name}/tokens", json={"name": "job", "valid_days": 1}).json()
    with with_token(server_url, made["token"]) as program:
        assert program.get("/me").json()["name"] == name
    assert api("POST", f"/users/{user[0]}/tokens", json={"name": "job"}).status_code == 422
    other = user[1].post("/me/tokens", json={"name": "mine"}).json()["token_id"]
    assert api("DELETE", f"/users/{name}/tokens/{other}").status_code == 404, "of another account"
    assert api("DELETE", f"/users/{user[0]}/tokens/{other}").status_code == 204


@pytest.mark.parametrize("token_id", [10**12, 10**30])
def test_a_token_that_no_database_can_number_is_unknown(client: httpx.Client, token_id: int):
    for path in (f"/profile/tokens/{token_id}/revoke", f"/users/ada/tokens/{token_id}/revoke"):
        assert client.post(path).status_code in {404, 422}
    assert client.delete(f"/api/v1/me/tokens/{token_id}").status_code in {404, 422}


def test_a_token_that_is_none_is_no_reason_to_look_for_a_session(server_url: str, server_database: Database):
    session = signed_in(server_database, "ada")
    with session.client(server_url, headers={"Authorization": "Bearer mcs_nothing"}) as client:
        assert client.get("/api/v1/me").status_code == 401


def test_one_changes_the_own_password_and_is_out_everywhere_else(
    user: tuple[str, httpx.Client], server_url: str, server_database: Database
):
    name, client = user
    with signed_in(server_database, name).client(f"{server_url}/api/v1") as other:
        assert len(client.get("/me/sessions").json()) == 2
        wrong = client.put("/me/password", json={"current": "no", "new": "a better one for me"})
        assert wrong.status_code == 422
        weak = client.put("/me/password", json={"current": PASSWORD, "new": f"{name}password"})
        assert weak.status_code == 422
        changed = client.put("/me/password", json={"current": PASSWORD, "new": "a better one for me"})
        assert changed.status_code == 204
        assert client.get("/me").status_code == 200
        assert other.get("/me").status_code == 401


def test_sessions_are_ended_one_by_one_and_all(
    user: tuple[str, httpx.Client],
    server_url: str,
    server_database: Database,
    api: Callable[..., httpx.Response],
):
    name, client = user
    others = [signed_in(server_database, name).client(f"{server_url}/api/v1") for _ in range(3)]
    listed = client.get("/me/sessions").json()
    assert [each["is_this_one"] for each in listed].count(True) == 1
    first = next(each["session_id"] for each in listed if not each["is_this_one"])
    assert client.delete(f"/me/sessions/{first}").status_code == 204
    assert sorted(other.get("/me").status_code for other in others) == [200, 200, 401]
    client.delete("/me/sessions")
    assert [other.get("/me").status_code for other in others] == [401] * 3
    assert client.get("/me").status_code == 200
    api("DELETE", f"/users/{name}/sessions")
    assert client.get("/me").status_code == 401
    for other in others:
        other.close()
