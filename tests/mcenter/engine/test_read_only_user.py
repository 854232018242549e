"""A user whose profile is ``readonly = 1``: may change nothing, not even a setting, and every ``get_…`` call works."""

from __future__ import annotations

import dataclasses
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_driver.errors import ServerException

from parallelm.connections import Settings, save_settings
from parallelm.mlops import MLOps
from parallelm.warehouse import migrate

from .conftest import PASSWORD, running_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import EngineProcess

READER = {"user": "reader", "password": "only looks"}
READONLY = 164
YEAR = (datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    folder = tmp_path_factory.mktemp("guarded")
    with running_engine(
        folder, "--reader-user", READER["user"], "--reader-password", READER["password"]
    ) as engine:
        engine.client().execute("CREATE TABLE t (n Int32) ENGINE = MergeTree ORDER BY n")
        engine.client().execute("INSERT INTO t VALUES", [(1,), (2,)])
        yield engine


def test_it_reads(guarded: EngineProcess) -> None:
    reader = guarded.client(**READER)
    assert reader.execute("SELECT sum(n) FROM t") == [(3,)]
    assert ("t",) in reader.execute("SHOW TABLES")


@pytest.mark.parametrize(
    "change",
    [
        lambda reader: reader.execute("INSERT INTO t VALUES", [(3,)]),
        lambda reader: reader.execute("INSERT INTO t SELECT 3"),
        lambda reader: reader.execute("DROP TABLE t"),
        lambda reader: reader.execute("ALTER TABLE t DELETE WHERE 1"),
        lambda reader: reader.execute("CREATE TABLE u (n Int32) ENGINE = MergeTree ORDER BY n"),
        lambda reader: reader.execute("SET readonly = 0"),
        lambda reader: reader.execute("SET max_threads = 1"),
        lambda reader: reader.execute("SELECT 1", settings={"max_threads": 1}),
    ],
)
def test_it_changes_nothing(guarded: EngineProcess, change: Callable[[Any], Any]) -> None:
    reader = guarded.client(**READER)
    with pytest.raises(ServerException) as refused:
        change(reader)
    assert refused.value.code == READONLY
    assert guarded.client().execute("SELECT sum(n) FROM t") == [(3,)]


def test_a_wrong_password_of_it_is_refused(guarded: EngineProcess) -> None:
    for wrong in ({"user": "reader", "password": PASSWORD}, {"user": "default", "password": "only looks"}):
        with pytest.raises(ServerException, match="Authentication failed"):
            guarded.client(**wrong).execute("SELECT 1")


@pytest.mark.parametrize(
    ("query", "status", "answer"),
    [
        ("SELECT sum(n) FROM t", 200, b"3\n"),
        ("DROP TABLE t", 500, None),
        ("SELECT 1 SETTINGS max_threads = 1", 500, None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_over_http_it_reads_and_changes_nothing(
    guarded: EngineProcess, method: str, query: str, status: int, answer: bytes | None
) -> None:
    url = f"http://127.0.0.1:{guarded.http_port}/?{urllib.parse.urlencode(READER | {'query': query})}"
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - as above
            found, body = response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            found, body = error.code, error.read()
    assert found == status
    assert body == answer or b"readonly mode" in body


def test_every_question_of_a_component_is_answered_to_it(
    guarded: EngineProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings()
    clickhouse = dataclasses.replace(
        settings.clickhouse, port=guarded.port, password=PASSWORD, database="asked"
    )
    settings = dataclasses.replace(
        settings,
        clickhouse=clickhouse,
        component=dataclasses.replace(settings.component, outbox_folder=str(tmp_path / "outbox")),
    )
    migrate(settings)
    save_settings(settings, tmp_path / "profile.toml")
    monkeypatch.setenv("MCENTER_CONFIG", str(tmp_path / "profile.toml"))
    monkeypatch.setenv("PM_MLOPS_MODEL_ID", "m1")
    mlops = MLOps()
    mlops.attach("app", user=READER["user"], password=READER["password"])
    try:
        assert mlops.get_mlapp_name() == "app"
        assert mlops.get_mlapp_policy() is None
        assert mlops.get_nodes() == []
        assert mlops.current_model() is mlops.get_last_approved_model() is None
        assert mlops.get_events() is None
        for frame in (
            mlops.get_stats("s", None, None, *YEAR),
            mlops.get_kpi("k", *YEAR),
            mlops.get_models_by_time(*YEAR),
            mlops.get_model_by_id("m1"),
            mlops.get_data_distribution_stats("m1"),
        ):
            assert frame is not None
            assert frame.empty
    finally:
        mlops.done()
