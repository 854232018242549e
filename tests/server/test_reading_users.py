"""Who gets which user of ClickHouse, and who may ask in SQL: neither shows more than the roles allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.connections import ClickHouseSettings, ServerSettings, Settings
from parallelm.server.access.matrix import ACTIONS, ADMIN, ROLES, VIEWER
from parallelm.server.run import make_context
from tests.server.accounts import ACCOUNT_OF, PASSWORD, make_account, opened_database, signed_in
from tests.server.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.server.accounts.database import Database

OWN, ANALYST = ("of-the-server", "its own secret"), ("analyst", "told to analysts")
NOBODY = ("", "")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with opened_database(f"sqlite:///{tmp_path_factory.mktemp('readers') / 'server.db'}") as found:
        yield found


def users(database: Database, component: tuple[str, str], names: list[str]) -> dict[str, tuple[str, str]]:
    """User of ClickHouse and its password that each account is told; nothing listens at any address."""
    settings = Settings(
        clickhouse=ClickHouseSettings(port=1, user=OWN[0], password=OWN[1]),
        server=ServerSettings(
            component_clickhouse_user=component[0], component_clickhouse_password=component[1]
        ),
    )
    found = {}
    with served(make_context(settings, database)) as url:
        for name in names:
            with signed_in(database, name).client(url) as client:
                said = client.get("/api/v1/connection-profile").raise_for_status()
                profile = said.json()["clickhouse"]
                found[name] = (profile["user"], profile["password"])
                assert (OWN[1] in said.text) == (found[name] == OWN)
    return found


def test_the_servers_own_user_is_told_to_those_only_who_may_read_all_that_it_sees(database: Database):
    found = users(database, NOBODY, list(ACCOUNT_OF.values()))
    for role in ROLES:
        wanted = OWN if role in ACTIONS["sql.read"].roles else NOBODY
        assert found[ACCOUNT_OF[role]] == wanted, role


def test_where_there_is_a_user_for_analysts_who_reads_all_mlapps_gets_that_one(database: Database):
    of_one = [make_account(database, [(role, "churn")], password=PASSWORD) for role in (VIEWER, ADMIN)]
    found = users(database, ANALYST, [*ACCOUNT_OF.values(), *of_one])
    assert {found[name] for name in ACCOUNT_OF.values()} == {ANALYST}
    assert {found[name] for name in of_one} == {NOBODY}, "SQL would show them other MLApps"
