"""Guessing passwords: how many attempts there are, for whom, and that they are told to those who read the audit log."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from argon2 import PasswordHasher

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.server.accounts import passwords, signing_in
from parallelm.server.accounts.audit import RefusalLimit
from parallelm.server.accounts.signing_in import OF_ADDRESS, OF_NAME, sign_in
from parallelm.server.errors import LockedOutError, SignInError
from parallelm.server.run import make_context
from tests.server.accounts import PASSWORD, make_account, opened_database, signed_in
from tests.server.serving import served
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.server.accounts.database import Database

MINUTE = 60_000
T0 = 1_800_000_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened_database(f"sqlite:///{tmp_path / 'server.db'}") as opened:
        yield opened


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that count attempts: those of the server take a tenth of a second each."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", hasher)
    monkeypatch.setattr(passwords, "_NOBODYS", hasher.hash("of nobody"))


def attempts(database: Database, count: int, name: str, at_ms: int, address: str = "10.0.0.1") -> None:
    for _ in range(count):
        with pytest.raises(SignInError):
            sign_in(database, name, "wrong", address, at_ms)


@pytest.mark.usefixtures("cheap_hashes")
@pytest.mark.parametrize("name", ["ada", "nobody-at-all"])
def test_five_failures_lock_a_name_for_a_minute_and_each_further_one_for_twice_as_long(
    database: Database, name: str
):
    attempts(database, 5, name, T0)
    with pytest.raises(LockedOutError, match="try again in 60 s"):
        sign_in(database, name, PASSWORD, "10.0.0.2", T0 + 1)
    attempts(database, 1, name, T0 + MINUTE)
    with pytest.raises(LockedOutError, match="try again in 2 min"):
        sign_in(database, name, PASSWORD, "10.0.0.2", T0 + MINUTE + 1)


@pytest.mark.usefixtures("cheap_hashes")
def test_attempts_while_it_is_locked_do_not_lock_it_longer(database: Database):
    attempts(database, 50, "ada", T0)
    assert sign_in(database, "ada", PASSWORD, "10.0.0.2", T0 + MINUTE).name == "ada"


@pytest.mark.usefixtures("cheap_hashes")
def test_the_right_password_begins_the_count_anew(database: Database):
    for _ in range(3):
        attempts(database, 4, "ada", T0)
        assert sign_in(database, "ada", PASSWORD, "10.0.0.1", T0).name == "ada"


@pytest.mark.usefixtures("cheap_hashes")
def test_an_address_that_tries_many_names_is_locked_and_others_are_not(database: Database):
    for number in range(OF_ADDRESS.free):
        attempts(database, 1, f"name-{number}", T0)
    with pytest.raises(LockedOutError):
        sign_in(database, "ada", PASSWORD, "10.0.0.1", T0 + 1)
    assert sign_in(database, "ada", PASSWORD, "10.0.0.9", T0 + 1).name == "ada"


@pytest.mark.usefixtures("cheap_hashes")
def test_an_own_account_does_not_free_an_address_that_guesses(database: Database):
    for number in range(OF_ADDRESS.free - 1):
        attempts(database, 1, f"name-{number}", T0)
        if number % 10 == 0:
            sign_in(database, "ada", PASSWORD, "10.0.0.1", T0)
    attempts(database, 1, "one-more", T0)
    with pytest.raises(LockedOutError):
        sign_in(database, "ada", PASSWORD, "10.0.0.1", T0 + 1)


def test_attempts_at_once_are_not_more_than_those_one_after_the_other(database: Database):
    def attempt(_: int) -> str:
        try:
            sign_in(database, "ada", "wrong", "10.0.0.1", T0)
        except SignInError as error:
            return type(error).__name__
        return "in"

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(attempt, range(16)))
    assert results.count("SignInError") == OF_NAME.free


@pytest.mark.usefixtures("cheap_hashes")
def test_an_ipv6_network_counts_as_one_address(database: Database):
    for number in range(OF_ADDRESS.free):
        attempts(database, 1, f"name-{number}", T0, f"2001:db8:0:1::{number + 1:x}")
    with pytest.raises(LockedOutError):
        sign_in(database, "ada", PASSWORD, "2001:db8:0:1:ffff::1", T0 + 1)
    assert sign_in(database, "ada", PASSWORD, "2001:db8:0:2::1", T0 + 1).name == "ada"


def test_in_masses_sign_ins_are_asked_to_come_again_and_lock_nobody_out(database: Database):
    def attempt(number: int) -> str:
        try:
            return sign_in(database, f"name-{number}", PASSWORD, f"10.2.0.{number}", T0).name
        except SignInError as error:
            return type(error).__name__

    with ThreadPoolExecutor(30) as pool:
        results = list(pool.map(attempt, range(30)))
    assert set(results) == {"BusyError", "SignInError"}
    with database.reading() as sql:
        counts = sql.connection().exec_driver_sql("SELECT sum(count) FROM failed_attempts").scalar()
    assert counts == 2 * results.count("SignInError"), (
        "of name and address; asking to come again is no failure"
    )


def test_no_lock_is_longer_than_an_hour():
    assert [OF_NAME.lock_ms(count) // MINUTE for count in (4, 5, 6, 10, 11, 12, 1000)] == [
        0,
        1,
        2,
        32,
        60,
        60,
        60,
    ]


@pytest.mark.usefixtures("cheap_hashes")
def test_failures_are_forgotten_after_a_day(database: Database):
    attempts(database, 12, "ada", T0)
    later = T0 + signing_in.FORGET_MS + MINUTE
    attempts(database, 1, "somebody", later, "10.0.0.5")
    with database.reading() as sql:
        rows = sql.connection().exec_driver_sql("SELECT count(*) FROM failed_attempts").scalar()
    assert rows == 2


def test_unknown_and_known_names_take_equally_long(database: Database):
    def seconds(name: str) -> float:
        best = 10.0
        for number in range(4):
            start = time.perf_counter()
            attempts(database, 1, name if name == "ada" else f"{name}-{number}", T0, f"10.1.0.{number}")
            best = min(best, time.perf_counter() - start)
        return best

    known, unknown = seconds("ada"), seconds("nobody")
    assert 0.5 < known / unknown < 2


def test_refusals_in_masses_are_counted_and_not_recorded():
    limit = RefusalLimit(in_a_minute=3)
    assert [limit.take((str(number % 5),), 0.0) for number in range(10)] == [0, 0, 0] + [None] * 7
    assert limit.take(("5",), 60.0) == 7
    assert limit.take(("6",), 61.0) == 0


def test_what_is_refused_and_what_is_done_to_accounts_is_in_the_audit_log(
    server_settings: Settings, server_database: Database, platform: Settings
):
    name = make_account(server_database, [("viewer", "*")], password=PASSWORD)
    team = f"t-{uuid.uuid4().hex[:8]}"
    # A server of its own: how many refusals are recorded in a minute is counted by process.
    with (
        served(make_context(server_settings, server_database)) as url,
        httpx.Client(base_url=url, headers={"Accept": "text/html"}) as browser,
        signed_in(server_database, "ada").client(url) as client,
    ):
        browser.post("/sign-in", data={"name": name, "password": "wrong"})
        browser.post("/sign-in", data={"name": PASSWORD, "password": "typed into the wrong field"})
        browser.post("/sign-in", data={"name": name, "password": PASSWORD})
        assert browser.get("/api/v1/users").status_code == 403
        client.post("/api/v1/groups", json={"name": team, "members": [name]})

    def recorded() -> set[tuple[str, str, str, str]]:
        with clickhouse_client(platform.clickhouse) as opened:
            rows = opened.execute(
                "SELECT who, authenticated_by, action, target FROM actions WHERE who = %(name)s OR target = %(team)s"
                " OR who = '' AND action = 'refuse_sign_in'",
                {"name": name, "team": team},
            )
        return set(rows)

    expected = {
        (name, "nobody", "refuse_sign_in", name),
        ("", "nobody", "refuse_sign_in", ""),
        (name, "server_account", "sign_in", name),
        (name, "server_account", "refuse", "GET /api/v1/users"),
        ("ada", "server_account", "create_group", team),
    }
    wait_for(lambda: expected <= recorded(), lambda: str(recorded()))
    with server_database.reading() as sql:
        wait_for(lambda: not sql.connection().exec_driver_sql("SELECT * FROM audit_records").all())
