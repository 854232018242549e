"""How requests come in: TLS or loopback, proxies, sizes, and how many in a minute."""

from __future__ import annotations

import contextlib
import dataclasses
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from click.testing import CliRunner

from parallelm.connections import ServerSettings, save_settings
from parallelm.mcenter.commands.server import server as command
from parallelm.server.access.limits import BODY_BYTES, RequestLimit
from parallelm.server.errors import TransportError
from parallelm.server.run import DEFAULT_PORT, attach_call, check_transport, listen, make_context, run_server
from parallelm.supervision.ports import PortClaims
from parallelm.supervision.service_frame import Stop
from tests.certificates import Authority
from tests.server.accounts import PASSWORD, make_account, opened_database, signed_in
from tests.server.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.server.accounts.database import Database

HTML = {"Accept": "text/html"}
ADA = {"name": "ada", "password": PASSWORD}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened_database(f"sqlite:///{tmp_path / 'server.db'}") as opened:
        yield opened


def with_server(settings: Settings, **changes: object) -> Settings:
    return dataclasses.replace(settings, server=dataclasses.replace(settings.server, **changes))


@contextmanager
def running(settings: Settings, database: Database) -> Iterator[int]:
    """The server as its command runs it; yields the port."""
    stop, ready = Stop(), threading.Event()
    with listen("127.0.0.1", 0) as listener:
        context = make_context(settings, database)
        thread = threading.Thread(target=run_server, args=(context, listener, stop, ready.set))
        thread.start()
        try:
            assert ready.wait(120)
            yield listener.getsockname()[1]
        finally:
            stop.set()
            thread.join(120)
    stop.close()


@pytest.mark.parametrize(
    ("own", "is_safe"),
    [
        ({"host": "127.0.0.1"}, True),
        ({"host": "127.8.8.8"}, True),
        ({"host": "::1"}, True),
        ({"host": "localhost"}, True),
        ({"host": "0.0.0.0"}, False),  # noqa: S104 - refused
        ({"host": "::"}, False),
        ({"host": "10.1.2.3"}, False),
        ({"host": "localhost.example.org"}, False),
        ({"host": ""}, False),
        ({"host": "0.0.0.0", "tls_certificate": "c.pem", "tls_key": "k.pem"}, True),  # noqa: S104 - with TLS
        ({"host": "0.0.0.0", "trusted_proxies": "10.0.0.0/8"}, True),  # noqa: S104 - behind a proxy
        ({"tls_certificate": "c.pem"}, False),
    ],
    ids=str,
)
def test_passwords_go_over_no_network_without_tls(own: dict[str, str], *, is_safe: bool):
    settings = ServerSettings(**own)
    if is_safe:
        check_transport(settings)
    else:
        with pytest.raises(TransportError, match="tls_certificate"):
            check_transport(settings)


def test_the_command_refuses_to_listen_to_others_without_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command, ["--host", "0.0.0.0"])  # noqa: S104 - refused
    assert done.exit_code == 1
    assert "trusted_proxies" in done.output


def test_a_port_that_a_starting_stack_has_chosen_is_left_to_it():
    with PortClaims() as stack:
        stack.claim(DEFAULT_PORT)
        with listen("127.0.0.1", 0) as listener:
            assert listener.getsockname()[1] != DEFAULT_PORT


def test_with_tls_cookies_are_for_tls_only_and_browsers_are_told_to_stay_with_it(
    server_settings: Settings, database: Database, tmp_path: Path
):
    authority = Authority(tmp_path, "ours")
    issued = authority.issue("server")
    settings = with_server(server_settings, tls_certificate=str(issued.chain), tls_key=str(issued.chain))
    with (
        running(settings, database) as port,
        httpx.Client(verify=ssl.create_default_context(cafile=authority.file)) as client,
    ):
        done = client.post(f"https://127.0.0.1:{port}/sign-in", data=ADA, headers=HTML)
        assert done.status_code == 303
        assert "Secure" in done.headers["Set-Cookie"]
        assert done.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert client.get(f"https://127.0.0.1:{port}/api/v1/me").json()["name"] == "ada"
        with pytest.raises(httpx.HTTPError):
            client.get(f"http://127.0.0.1:{port}/")


def test_a_certificate_that_cannot_be_read_is_named(
    server_settings: Settings, database: Database, tmp_path: Path
):
    settings = with_server(server_settings, tls_certificate=str(tmp_path / "no.pem"), tls_key="no.pem")
    with listen("127.0.0.1", 0) as listener, pytest.raises(TransportError, match="cannot be used"):
        run_server(make_context(settings, database), listener, Stop(), lambda: None)


@pytest.mark.parametrize(
    ("trusted", "is_believed"), [("127.0.0.0/8", True), ("10.0.0.1", False), ("", False)]
)
def test_only_a_trusted_proxy_is_believed_who_asks_and_how(
    server_settings: Settings, database: Database, trusted: str, *, is_believed: bool
):
    settings = with_server(server_settings, trusted_proxies=trusted)
    said = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7", "X-Forwarded-Proto": "https"}
    with served(make_context(settings, database)) as url, httpx.Client(base_url=url) as client:
        done = client.post("/sign-in", data=ADA, headers=HTML | said)
        assert ("Secure" in done.headers["Set-Cookie"]) is is_believed
        cookie = done.headers["Set-Cookie"].partition(";")[0]
        found = client.get("/api/v1/me/sessions", headers={"Cookie": cookie}).json()
        assert found[0]["address"] == ("203.0.113.7" if is_believed else "127.0.0.1")


def test_a_proxy_that_changes_the_host_is_no_other_site_when_the_public_address_is_known(
    server_settings: Settings, database: Database
):
    settings = with_server(server_settings, public_url="https://mlops.example.org")
    with served(make_context(settings, database)) as url:
        for origin, status in (("https://mlops.example.org", 303), ("https://evil.example.org", 403)):
            done = httpx.post(f"{url}/sign-in", data=ADA, headers=HTML | {"Origin": origin})
            assert done.status_code == status


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: httpx.Client):
    page = client.post("/sign-in", data=ADA | {"next": "x" * (BODY_BYTES + 1)}, headers=HTML)
    assert page.status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(BODY_BYTES // 65_536 + 4):
            yield b" " * 65_536

    called = client.post("/api/v1/users", content=endless(), headers={"Content-Type": "application/json"})
    assert called.status_code == 413
    assert called.headers["Content-Type"] == "application/problem+json"


def test_of_somebody_unknown_no_file_is_read(anonymous: httpx.Client):
    read = 0

    def file() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 65_536
            yield bytes(65_536)

    with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError):
        answer = anonymous.post("/api/v1/mlapps/churn/models", content=file())
        assert answer.status_code == 401
    assert read < 64 * 1024**2


def test_who_asks_too_often_is_told_when_to_go_on_and_others_go_on(
    server_settings: Settings, database: Database
):
    limited = make_context(with_server(server_settings, api_requests_per_minute=3), database)
    with (
        served(limited) as url,
        signed_in(database, "ada").client(url) as ada,
        signed_in(database, make_account(database, [("viewer", "*")])).client(url) as other,
    ):
        answers = [ada.get("/api/v1/me") for _ in range(5)]
        assert [each.headers["RateLimit-Remaining"] for each in answers] == ["2", "1", "0", "0", "0"]
        assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 61
        assert other.get("/api/v1/me").status_code == 200
        assert ada.get("/profile", headers=HTML).status_code == 200, "pages are for people"


def test_the_originals_calls_are_limited_and_its_reports_by_a_limit_of_their_own(
    server_settings: Settings, database: Database
):
    limited = make_context(
        with_server(server_settings, api_requests_per_minute=3, reports_per_minute=2), database
    )
    with served(limited) as url, httpx.Client(base_url=url) as old:
        login = old.post("/auth/login", json={"username": "ada", "password": PASSWORD})
        old.cookies.set("token", login.json()["token"])
        reports = [old.post("/mlops/stats/no.such", content=b"{}") for _ in range(3)]
        calls = [old.get("/mlops/uuid") for _ in range(4)]
        assert [each.status_code for each in reports] == [404, 404, 429]
        assert [each.status_code for each in calls] == [200, 200, 200, 429]
        assert "more than 2 reports in a minute" in reports[-1].json()["detail"]
        assert 0 < int(reports[-1].headers["Retry-After"]) <= 61


def test_a_minute_later_one_may_ask_again_and_the_count_of_nobody_is_kept(database: Database):
    limit = RequestLimit(database, 1)
    taken = [limit.take("a", at_s) for at_s in (60.0, 61.0, 119.0, 120.0)]
    assert [each.left if each else None for each in taken] == [0, -1, -1, 0]
    assert RequestLimit(database, 0).take("a", 60.0) is None


def test_an_operator_who_is_locked_out_gets_a_link_from_the_machine(
    server_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with opened_database(f"sqlite:///{tmp_path / 'server.db'}") as database:
        config = tmp_path / "mcenter.toml"
        url = f"sqlite:///{tmp_path / 'server.db'}"
        save_settings(with_server(server_settings, database_url=url), config)
        monkeypatch.setenv("MCENTER_CONFIG", str(config))
        with served(make_context(server_settings, database)) as address:
            database.remember_url(address)
            for _ in range(6):
                httpx.post(f"{address}/sign-in", data=ADA | {"password": "forgotten"})
            assert httpx.post(f"{address}/sign-in", data=ADA).status_code == 429
            done = CliRunner().invoke(command, ["reset-link", "ada"])
            assert done.exit_code == 0, done.output
            link = done.output.strip()
            assert link.startswith(f"{address}/choose-password?link=")
            form = {
                "link": link.partition("link=")[2],
                "password": "a new one for ada",
                "repeated": "a new one for ada",
            }
            assert httpx.post(f"{address}/choose-password", data=form).status_code == 303
            assert (
                httpx.post(f"{address}/sign-in", data=ADA | {"password": form["password"]}).status_code == 303
            )
        for wrong, said in ((["reset-link"], "already"), (["reset-link", "nobody"], "no account")):
            refused = CliRunner().invoke(command, wrong)
            assert (refused.exit_code, said in refused.output) == (1, True)


@pytest.mark.parametrize(
    ("url", "call"),
    [
        ("http://127.0.0.1:3456", ""),
        (
            "http://127.0.0.1:4567",
            'mlops.attach("MLAPP", "http://127.0.0.1:4567", user="NAME", password="PASSWORD")',
        ),
        (
            "https://ml.example.org/a",
            'mlops.attach("MLAPP", "https://ml.example.org/a", user="NAME", password="PASSWORD")',
        ),
    ],
)
def test_a_notebook_is_told_the_call_where_attach_does_not_look_by_itself(url: str, call: str):
    assert attach_call(url) == call
