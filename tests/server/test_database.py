"""The SQL database: migrations, SQLite and a real PostgreSQL, and several processes on one of them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from parallelm.schemas.well_known import SERVER_ACCOUNT
from parallelm.server.access.matrix import ADMIN
from parallelm.server.accounts import backup, links, management, people, sessions, tokens
from parallelm.server.accounts.audit import Change
from parallelm.server.accounts.database import Database
from parallelm.server.accounts.roles import roles_of
from parallelm.server.accounts.signing_in import OF_NAME, sign_in
from parallelm.server.accounts.tables import Base
from parallelm.server.errors import AccountError, DatabaseError, LinkError, SignInError, UnknownAccountError
from tests.people import person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T0 = 1_800_000_000_000
PASSWORD = "correct horse battery"  # noqa: S105 - of accounts that only tests have


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def test_migrations_make_the_tables_that_the_code_wants(url: str):
    with opened(url) as database, database.reading() as sql:
        context = MigrationContext.configure(sql.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_database_of_a_newer_version_is_left_alone(url: str):
    with opened(url) as database, database.writing() as sql:
        sql.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        DatabaseError, match=r"has migration '9999', this code ends at .* newer version of mcenter"
    ):
        Database(url)


def test_processes_that_start_at_once_migrate_one_after_the_other(url: str):
    program = "import sys; from parallelm.server.accounts.database import Database; print(Database(sys.argv[1]).installation_id)"
    command = [sys.executable, "-c", program, url]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    results = [(process.communicate()[0], process.returncode) for process in started]
    assert {status for _, status in results} == {0}
    assert len({text for text, _ in results}) == 1, "one installation"


def test_accounts_roles_groups_sessions_and_tokens_are_as_they_were_made(url: str):
    with opened(url) as database:
        with database.writing() as sql:
            change = Change(sql, person("ada"), T0)
            grace = management.create_account(change, "Grace", grants=[("viewer", "churn"), (ADMIN, "*")])
            people.set_password(grace, PASSWORD, T0)
            management.create_group(change, "team", [("approver", "churn")], ["grace"])
            secret = sessions.begin(sql, grace, SERVER_ACCOUNT, T0, sessions.Lifetimes())
            _, token = tokens.create(sql, grace, "job", ["mlapps.read"], 1, T0)
        with opened(url) as other, other.reading() as sql:
            session = sessions.find(sql, secret, T0 + 1, sessions.Lifetimes())
            assert session
            assert roles_of(sql, session.account_id) == {"churn": {"viewer", "approver"}, "*": {ADMIN}}
            found = tokens.find(sql, token, T0 + 1)
            assert found
            assert found.scopes == ["mlapps.read"]
            assert tokens.find(sql, token, T0 + 24 * 3_600_000) is None, "it has expired"
        assert sign_in(database, "grace", PASSWORD, "10.0.0.1", T0).name == "grace"
        with database.writing() as sql:
            management.delete_group(Change(sql, person("ada"), T0), management.group(sql, "team"))
            assert roles_of(sql, grace.id) == {"churn": {"viewer"}, "*": {ADMIN}}
        with pytest.raises(AccountError, match="nobody would be left"), database.writing() as sql:
            management.disable_account(Change(sql, person("ada"), T0), people.find(sql, "grace"))


def test_a_session_ends_when_it_is_idle_and_at_the_latest_after_days(url: str):
    lasting = sessions.Lifetimes(idle_ms=1000, longest_ms=5000)
    with opened(url) as database:
        with database.writing() as sql:
            account = people.create(sql, "grace", T0)
            secret = sessions.begin(sql, account, SERVER_ACCOUNT, T0, lasting)

        def is_live(at_ms: int) -> bool:
            with database.reading() as sql:
                return sessions.find(sql, secret, at_ms, lasting) is not None

        assert [is_live(T0 + ms) for ms in (0, 999, 1000)] == [True, True, False]
        with database.reading() as sql:
            session = sessions.find(sql, secret, T0, sessions.Lifetimes())
            assert session
        sessions.note_use(database, session, T0 + sessions.USED_STEP_MS)
        assert not is_live(T0 + sessions.USED_STEP_MS), "over after 5 s, used or not"


def test_of_two_who_use_a_link_at_once_one_gets_in(url: str):
    with opened(url) as database:
        with database.writing() as sql:
            secret = links.first_administrator(sql, T0)
            assert secret
        ready = threading.Barrier(2)

        def use(name: str) -> str:
            ready.wait()
            try:
                with database.writing() as sql:
                    return links.use(sql, secret, name, PASSWORD, T0).name
            except LinkError:
                return "refused"

        with ThreadPoolExecutor(2) as pool:
            assert max(pool.map(use, ["anna", "bob"])) == "refused"
        with database.reading() as sql:
            assert len(management.accounts(sql)) == 1


def test_attempts_at_once_over_several_processes_are_counted_together(url: str):
    with opened(url) as one, opened(url) as two:
        with one.writing() as sql:
            people.create(sql, "grace", T0, password=PASSWORD)

        def attempt(number: int) -> str:
            try:
                return sign_in((one, two)[number % 2], "grace", "wrong", "10.0.0.1", T0).name
            except SignInError as error:
                return type(error).__name__

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(attempt, range(12)))
        assert results.count("SignInError") == OF_NAME.free
        assert results.count("LockedOutError") == 12 - OF_NAME.free


def test_of_two_administrators_who_disable_each_other_at_once_one_remains(url: str):
    both = threading.Barrier(2)

    def disable(database: Database, who: str, other: str) -> bool:
        try:
            with database.writing() as sql:
                if database.file is None:  # SQLite lets the second one begin when the first has ended
                    both.wait()
                management.disable_account(Change(sql, person(who), T0), people.find(sql, other))
        except AccountError:
            return False
        return True

    with opened(url) as one, opened(url) as two, ThreadPoolExecutor(2) as pool:
        with one.writing() as sql:
            for name in ("ada", "grace"):
                people.create(sql, name, T0, grants=[(ADMIN, "*")])
        done = pool.map(disable, (one, two), ("ada", "grace"), ("grace", "ada"))
        assert sorted(done) == [False, True]


def test_a_writer_does_not_keep_readers_waiting(url: str):
    with opened(url) as database, database.writing() as sql:
        people.create(sql, "grace", T0)
        start = time.monotonic()
        with database.reading() as other:
            assert management.accounts(other) == []
        assert time.monotonic() - start < 5


def test_accounts_are_restored_from_a_backup_into_another_kind_of_database(url: str, tmp_path: Path):
    with opened(f"sqlite:///{tmp_path / 'earlier.db'}") as earlier:
        with earlier.writing() as sql:
            change = Change(sql, person("ada"), T0)
            grace = management.create_account(change, "grace", grants=[(ADMIN, "*")])
            people.set_password(grace, PASSWORD, T0)
            management.create_group(change, "team", [("approver", "churn")], ["grace"])
            _, token = tokens.create(sql, grace, "job", None, 1, T0)
            sessions.begin(sql, grace, SERVER_ACCOUNT, T0, sessions.Lifetimes())
        assert backup.save(earlier, tmp_path) == 1
        assert (tmp_path / backup.FILE).stat().st_mode & 0o777 == 0o600
        with pytest.raises(AccountError, match="has 1 accounts"):
            backup.load(earlier, tmp_path)
    with opened(url) as database:
        assert backup.load(database, tmp_path) == 1
        assert sign_in(database, "grace", PASSWORD, "10.0.0.1", T0).name == "grace"
        with database.writing() as sql:
            found = tokens.find(sql, token, T0)
            assert found
            assert roles_of(sql, found.account_id) == {"*": {ADMIN}, "churn": {"approver"}}
            assert sessions.all_of(sql, found.account_id) == []
            assert people.create(sql, "next", T0).id != found.account_id
    with opened(url) as again:
        assert again.installation_id == earlier.installation_id


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 10_000, "", "' OR 1=1 --"])
def test_a_name_that_no_database_takes_is_an_unknown_one(url: str, name: str):
    with opened(url) as database:
        with pytest.raises(SignInError, match="do not fit"):
            sign_in(database, name, PASSWORD, "10.0.0.1", T0)
        with pytest.raises(UnknownAccountError), database.reading() as sql:
            people.find(sql, name)


def test_the_file_of_sqlite_is_its_owners_only(tmp_path: Path):
    with opened(f"sqlite:///{tmp_path / 'a' / 'server.db'}") as database, database.writing() as sql:
        people.create(sql, "grace", T0)
        sql.flush()
        modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "a").iterdir()}
    assert set(modes.values()) == {0o600}, modes


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:secret@host/db", "postgresql or sqlite"),
        ("not a url", "no URL"),
        ("sqlite://", "names no file"),
        ("sqlite:////proc/nothing/server.db", "cannot be written"),
        ("postgresql://u:secret@127.0.0.1:1/db", "127.0.0.1"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(url: str, said: str):
    with pytest.raises(DatabaseError) as caught:
        Database(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_database_of_a_newer_version_is_refused(url: str):
    with opened(url) as database, database.writing() as sql:
        sql.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseError, match="9999"):
        Database(url)
