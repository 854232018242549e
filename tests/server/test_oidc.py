"""Sign-in by a real OpenID Connect provider, in a process of its own."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from parallelm.server.accounts import management
from parallelm.server.accounts.audit import AuditLog
from parallelm.server.accounts.oidc import IdentityProvider
from parallelm.server.errors import IdentityProviderError
from parallelm.server.run import make_context
from parallelm.supervision.ports import choose_ports
from tests.people import person
from tests.server.accounts import PASSWORD, opened_database
from tests.server.serving import served
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from parallelm.server.accounts.database import Database

HTML = {"Accept": "text/html"}
GRACE = {
    "sub": "1",
    "preferred_username": "grace",
    "name": "Grace Hopper",
    "groups": ["Risk-Team", "unknown"],
}
IMPOSTOR = {"sub": "2", "preferred_username": "ada", "name": "Not Ada"}
NAMELESS = {"sub": "3 with spaces"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """Address of a provider that knows some people."""
    port = choose_ports({"oidc": None}, {})["oidc"]
    people = [part for user in (GRACE, IMPOSTOR, NAMELESS) for part in ("--user-claims", json.dumps(user))]
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "oidc_provider_mock",
        "--port",
        str(port),
        "-n",
        "true",
        *people,
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(url), "the provider")
        yield url
        process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/.well-known/openid-configuration").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, server_settings: Settings) -> Iterator[Database]:
    """Accounts, among them the local ``ada``, and a group with a role."""
    url = f"sqlite:///{tmp_path_factory.mktemp('oidc') / 'server.db'}"
    with opened_database(url) as opened:
        audit = AuditLog(opened, server_settings)
        with audit.changing(person("ada")) as change:
            management.create_group(change, "risk-team", [("approver", "churn")])
        audit.close()
        yield opened


@pytest.fixture(scope="module")
def url(server_settings: Settings, database: Database, issuer: str) -> Iterator[str]:
    """A server that lets this provider's people in."""
    own = dataclasses.replace(
        server_settings.server,
        oidc_issuer=issuer,
        oidc_client_id="mcenter",
        oidc_client_secret="s",  # noqa: S106 - of a provider for tests
    )
    with served(make_context(dataclasses.replace(server_settings, server=own), database)) as address:
        yield address


@pytest.fixture
def browser(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers=HTML) as opened:
        yield opened


def sent(browser: httpx.Client, go_on: str = "/") -> str:
    """Where the browser is sent."""
    answer = browser.get("/oidc/start", params={"next": go_on})
    assert answer.status_code == 302
    return answer.headers["Location"]


def returned(where: str, subject: str) -> str:
    """Sign in there; the address to which the provider sends the browser back."""
    return httpx.post(where, data={"sub": subject}).headers["Location"]


def sign_in(browser: httpx.Client, subject: str, go_on: str = "/") -> httpx.Response:
    return browser.get(returned(sent(browser, go_on), subject))


def test_somebody_signs_in_with_the_organisation_and_has_the_roles_of_its_groups(browser: httpx.Client):
    form = browser.get("/sign-in?next=/profile")
    assert "/oidc/start?next=/profile" in form.text
    done = sign_in(browser, "1", "/profile")
    assert (done.status_code, done.headers["Location"]) == (303, "/profile")
    me = browser.get("/api/v1/me").json()
    assert (me["name"], me["authenticated_by"]) == ("grace", "oidc")
    assert me["roles"] == [{"role": "approver", "mlapp_id": "churn"}]
    assert "Grace Hopper" in browser.get("/profile").text


def test_who_has_left_a_group_there_has_left_it_here(browser: httpx.Client, database: Database, issuer: str):
    sign_in(browser, "1")
    httpx.put(f"{issuer}/users/1", json={**GRACE, "groups": []}).raise_for_status()
    sign_in(browser, "1")
    assert browser.get("/api/v1/me").json()["roles"] == []
    httpx.put(f"{issuer}/users/1", json=GRACE).raise_for_status()
    with database.reading() as sql:
        assert len([each for each in management.accounts(sql) if each.name == "grace"]) == 1


def test_nobody_takes_over_a_local_account_of_the_same_name(browser: httpx.Client):
    refused = sign_in(browser, "2")
    assert refused.status_code == 401
    assert "already" in refused.text
    assert browser.get("/api/v1/me").status_code == 401


def test_a_name_that_cannot_be_one_is_told(browser: httpx.Client):
    refused = sign_in(browser, "3 with spaces")
    assert refused.status_code == 401
    assert "no name for an account" in refused.text


def test_the_request_carries_state_nonce_and_a_challenge_of_what_only_the_database_knows(
    browser: httpx.Client, database: Database
):
    asked = parse_qs(urlsplit(sent(browser)).query)
    with database.reading() as sql:
        rows = sql.connection().exec_driver_sql("SELECT nonce, code_verifier FROM oidc_requests").all()
    verifier = dict(tuple(row) for row in rows)[asked["nonce"][0]]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    assert (asked["code_challenge"], asked["code_challenge_method"]) == ([challenge], ["S256"])
    assert asked["redirect_uri"] == [str(browser.base_url.join("/oidc/callback"))]
    assert "openid" in asked["scope"][0]


@pytest.mark.parametrize("fault", ["another browser", "again", "another state", "no code", "another code"])
def test_a_return_that_was_not_asked_for_so_lets_nobody_in(browser: httpx.Client, fault: str):
    back = returned(sent(browser), "1")
    if fault == "another browser":
        refused = httpx.get(back, headers=HTML)
    elif fault == "again":
        browser.get(back)
        browser.post("/sign-out")
        browser.cookies.clear()
        refused = browser.get(back)
    else:
        query = {key: values[0] for key, values in parse_qs(urlsplit(back).query).items()}
        changed = {"another state": "state", "no code": "code", "another code": "code"}[fault]
        query[changed] = "" if fault == "no code" else uuid.uuid4().hex
        refused = browser.get("/oidc/callback", params=query)
    assert refused.status_code == 401, refused.text
    assert "mcenter_session" not in refused.headers.get("Set-Cookie", "")


def test_a_code_is_of_no_use_with_the_nonce_of_another_request(browser: httpx.Client, database: Database):
    back = returned(sent(browser), "1")
    with database.writing() as sql:
        sql.connection().exec_driver_sql("UPDATE oidc_requests SET nonce = 'planted'")
    refused = browser.get(back)
    assert refused.status_code == 401
    assert "cannot be trusted" in refused.text


def test_without_the_provider_people_with_a_password_still_get_in(
    server_settings: Settings, database: Database
):
    own = dataclasses.replace(server_settings.server, oidc_issuer="http://127.0.0.1:9", oidc_client_id="x")
    with served(make_context(dataclasses.replace(server_settings, server=own), database)) as address:
        away = httpx.get(f"{address}/oidc/start", headers=HTML)
        assert away.status_code == 503
        assert "cannot be used now" in away.text
        assert httpx.post(f"{address}/sign-in", data={"name": "ada", "password": PASSWORD}).status_code == 303


@pytest.mark.parametrize(
    ("published", "said"),
    [
        ("[]", "cannot be used now"),
        ("no JSON", "cannot be used now"),
        ('{"issuer": 7}', "calls itself 7"),
        ('{"issuer": "HERE", "jwks_uri": "HERE/keys"}', "no authorization_endpoint and no token_endpoint"),
    ],
)
def test_a_provider_that_publishes_something_else_is_named_as_the_reason(
    server_settings: Settings, database: Database, published: str, said: str
):
    class Published(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = '{"keys": []}' if self.path == "/keys" else published.replace("HERE", here)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Published) as provider:
        here = f"http://127.0.0.1:{provider.server_port}"
        threading.Thread(target=provider.serve_forever, daemon=True).start()
        own = dataclasses.replace(server_settings.server, oidc_issuer=here, oidc_client_id="x")
        with pytest.raises(IdentityProviderError, match=said):
            IdentityProvider(own).begin(database, "http://127.0.0.1/oidc/callback", "/", 0)
        provider.shutdown()


def test_a_server_without_a_provider_offers_none(anonymous: httpx.Client):
    assert "/oidc/start" not in anonymous.get("/sign-in", headers=HTML).text
    assert anonymous.get("/oidc/start").status_code == 404
