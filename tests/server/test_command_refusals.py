"""What a server refuses a command is said in words; what is lost on the way is sent again and done once."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner

from parallelm.connections import ServerSettings
from parallelm.mcenter.cli import cli
from parallelm.operations.acting.server_client import ServerClient
from parallelm.operations.errors import ServerAwayError
from parallelm.operations.silences import list_silences
from tests.server.accounts import ACCOUNT_OF, PASSWORD
from tests.tls_server import tls_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.server.commands import Commands

KNOWN_AS = "t"
ACK = ("alerts", "ack", "abc", "--comment", "mine")


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        ("http://127.0.0.1:1", "t", ("no server answers at http://127.0.0.1:1: ", "Nothing was done", "MCENTER_SERVER_URL")),
        ("SERVER", "wrong", ("does not accept the token: ", "`mcenter login ", "(request ")),
        ("SERVER", "", ("no token for ", "`mcenter login ")),
        ("SERVER/elsewhere", "t", ("(request ",)),
        ("http://mlops.example.org", "t", ("must not go over a network unencrypted; use https",)),
        ("mlops.example.org", "t", ("must be an address such as https://",)),
    ],
)  # fmt: skip
def test_a_server_that_is_away_or_does_not_know_who_asks(
    commands: Commands, server_url: str, url: str, token: str, words: tuple[str, ...]
):
    commands.name(url.replace("SERVER", server_url), token)
    said = commands(*ACK, exit_code=1)
    assert [word for word in words if word not in said] == [], said
    assert "wrong" not in said


def test_who_may_not_is_told_the_action_and_the_roles(
    commands: Commands, server_url: str, token_of: Callable[..., str]
):
    pin = ("models", "pin", "--mlapp", "churn", "--comment", "mine")
    commands.name(server_url, token_of("viewer"))
    said = commands(*pin, exit_code=1)
    assert "viewer-of-tests has no role that allows models.review on MLApp 'churn'" in said
    assert "ask an administrator for one of: approver, admin (request " in said
    commands.name(server_url, token_of("approver", ["mlapps.read"]))
    said = commands(*pin, exit_code=1)
    assert "the token of approver-of-tests is not for models.review: make one with this scope" in said
    commands.name(server_url, token_of("approver"))
    said = commands(*pin, "--who", "somebody else", exit_code=1)
    assert "who acts is the account of the token" in said


@contextmanager
def scripted(answers: list[tuple[int, dict[str, str], dict[str, Any]]]) -> Iterator[str]:
    """A server that gives these answers, one a request, and then the last one."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers[0] if len(answers) == 1 else answers.pop(0)
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as url:
        yield url


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


LIMITED = {"detail": "ada has asked 600 times in this minute", "request_id": "r1"}
MISSING = {"detail": "there is no alert 'abc'", "request_id": "r2"}


@pytest.mark.parametrize(
    ("after", "then", "words"),
    [
        ("1", (404, {}, MISSING), "there is no alert 'abc' (request r2)"),
        ("1", (429, {"Retry-After": "7"}, LIMITED), "in this minute; try again in 7 s (request r1)"),
        ("3600", (404, {}, MISSING), "in this minute; try again in 3600 s (request r1)"),
    ],
)
def test_who_asks_too_often_waits_once_and_is_then_told(
    commands: Commands, after: str, then: tuple[int, dict[str, str], dict[str, Any]], words: str
):
    with scripted([(429, {"Retry-After": after}, LIMITED), then]) as url:
        commands.name(url, "t")
        assert words in commands(*ACK, exit_code=1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {}, {}), "gives an answer that is not understood, without 'mlapp_id'"),
        ((404, {}, {"error": "x"}), "is no MCenter server: it answers with status 404"),
        (
            (302, {"Location": "https://login.example.org"}, {}),
            "leads to https://login.example.org: name that",
        ),
    ],
)
def test_what_is_no_server_of_ours_is_said(
    commands: Commands, answer: tuple[int, dict[str, str], dict[str, Any]], words: str
):
    with scripted([answer]) as url:
        commands.name(url, "t")
        assert words in commands(*ACK, exit_code=1)


@contextmanager
def forgetful(url: str) -> Iterator[tuple[str, list[str]]]:
    """A proxy before a server that hangs up instead of giving the first answer to a POST; yields the keys of all POSTs."""
    keys: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            keys.append(self.headers["Idempotency-Key"])
            sent = {name: value for name, value in self.headers.items() if name != "Host"}
            answer = httpx.post(f"{url}{self.path}", content=body, headers=sent, timeout=60)
            if len(keys) == 1:
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as own:
        yield own, keys


def test_a_call_whose_answer_is_lost_is_sent_again_and_acts_once(
    commands: Commands, server_url: str, token_of: Callable[..., str], platform: Settings
):
    with forgetful(server_url) as (url, keys):
        commands.name(url, token_of("admin"))
        said = commands("alerts", "silence", "mlapp=churn", "--for", "1h", "--comment", "only once")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    (silence,) = [each for each in list_silences(platform) if each.comment == "only once"]
    assert silence.silence_id in said


def test_the_authority_of_the_server_may_be_named(tmp_path: Path):
    with tls_server(tmp_path, lambda path: json.dumps({"path": path}).encode()) as (url, authority):
        named = ServerSettings(url=url, token=KNOWN_AS, ca_certs=str(authority))
        assert ServerClient(named).get("/api/v1/x") == {"path": "/api/v1/x"}
        with pytest.raises(ServerAwayError, match="authority that this machine does not trust"):
            ServerClient(ServerSettings(url=url, token=KNOWN_AS)).get("/api/v1/x")


def test_somebody_signs_in_acts_and_signs_out(
    tmp_path: Path, server_url: str, monkeypatch: pytest.MonkeyPatch, token_of: Callable[..., str]
):
    monkeypatch.chdir(tmp_path)

    def mcenter(*arguments: str, typed: str = "", exit_code: int = 0) -> str:
        result = CliRunner().invoke(cli, arguments, input=typed)
        assert result.exit_code == exit_code, (result.output, result.exception)
        return result.output

    assert "nobody has used `mcenter login`" in mcenter("logout", exit_code=1)
    refused = mcenter("login", server_url, "--user", "ada", typed="wrong password\n", exit_code=1)
    assert "Error: name and password do not fit" in refused
    assert not (tmp_path / "mcenter.login.toml").exists()
    said = mcenter("login", f"{server_url}/", typed=f"{ACCOUNT_OF['approver']}\n{PASSWORD}\n")
    assert f"commands act as {ACCOUNT_OF['approver']} through {server_url} where" in said
    kept = tmp_path / "mcenter.login.toml"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in kept.read_text()
    assert "there is no alert 'abc'" in mcenter(*ACK, exit_code=1)
    said = mcenter("login", server_url, "--with-token", typed=token_of("viewer") + "\n")
    assert f"commands act as {ACCOUNT_OF['viewer']} " in said
    assert "does not accept the token" in mcenter(
        "login", server_url, "--with-token", typed="no\n", exit_code=1
    )
    assert f"revoke its token on {server_url}/profile" in mcenter("logout")
    assert not kept.exists()
