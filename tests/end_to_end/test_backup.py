"""A backup restored into an empty platform: the same answers, and services that go on from there."""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from clickhouse_driver.errors import ServerException

from parallelm.connections import Settings, save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.cli import cli
from parallelm.operations.authors import Author
from parallelm.operations.backup import back_up
from parallelm.operations.errors import ArtifactStoreError, BackupError
from parallelm.operations.model_files import NewModel, open_model, upload_model
from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.topics import ALERTS, MLAPPS
from parallelm.schemas.well_known import UNVERIFIED_LOCAL_USER
from parallelm.warehouse import drift, migrate
from tests.conftest import settings_of_a_test
from tests.service_process import ServiceProcess
from tests.stream_processors.live import Cluster, Worker
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULE = """\
mlapp: app
nodes: [{id: predict, type: model_consumer}]
alerts: [{name: late, type: threshold, statistic: share, above: 0.5}]
"""


@pytest.fixture
def empty(stack: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Another platform, with nothing in it."""
    with settings_of_a_test(stack, tmp_path / "restored") as own:
        yield own


def mcenter(settings: Settings, folder: Path, *arguments: str, exit_code: int = 0) -> str:
    config = folder / "settings.toml"
    save_settings(settings, config)
    result = CliRunner().invoke(cli, arguments, env={"MCENTER_CONFIG": str(config)})
    assert result.exit_code == exit_code, result.output
    return result.output


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with clickhouse_client(settings.clickhouse) as client:
        found: list[tuple[Any, ...]] = client.execute(query)
        return found


def sink(settings: Settings, folder: Path) -> ServiceProcess:
    return ServiceProcess(folder, "sink", settings=settings)


_ALERTS = "SELECT transition_id, state, started_at FROM alert_transitions ORDER BY transition_id"
_DEFINITIONS = "SELECT mlapp_id, version, event_time, ingested_at FROM mlapps"


def test_a_restored_platform_gives_the_same_answers_and_goes_on(
    settings: Settings, empty: Settings, tmp_path: Path
):
    create_topics(settings)
    migrate(settings)
    cluster = Cluster(settings)
    cluster.apply(RULE)
    file = tmp_path / "m.bin"
    file.write_bytes(b"a model")
    with sink(settings, tmp_path / "sink1") as first, Worker(settings, tmp_path / "worker1") as worker:
        cluster.statistic(1, "share", 0.9)
        cluster.flush()
        wait_for(lambda: len(rows(settings, _ALERTS)) == 1, worker.log)
        wait_for(lambda: rows(settings, "SELECT count() FROM statistics") == [(1,)], first.log)
        wait_for(lambda: len(rows(settings, _DEFINITIONS)) == 1, first.log)
        new = NewModel(name="m", format="Binary", file_name=file.name)
        model = upload_model(settings, "app", file, new, who=Author("anna", UNVERIFIED_LOCAL_USER))
        wait_for(lambda: rows(settings, "SELECT count() FROM models") == [(1,)], first.log)
        assert [worker.terminate(), first.terminate()] == [0, 0]
    said = mcenter(settings, tmp_path, "backup", str(tmp_path / "copy"))
    assert "1 of mlapps" in said
    assert "1 model file" in said
    before = {
        query: rows(settings, query) for query in (_ALERTS, _DEFINITIONS, "SELECT value FROM statistics")
    }

    said = mcenter(empty, tmp_path, "restore", str(tmp_path / "copy"))
    assert "1 of mlapps" in said
    moved = dataclasses.replace(empty.artifacts, moved_from=settings.artifacts.url)
    assert f"MCENTER_ARTIFACTS_MOVED_FROM={moved.moved_from}" in said
    assert {query: rows(empty, query) for query in before} == before
    assert drift(empty) == []
    with pytest.raises(ArtifactStoreError, match="not its place in the artifact store"):
        open_model(empty, model.model_id)
    restored = open_model(dataclasses.replace(empty, artifacts=moved), model.model_id)
    assert b"".join(restored.chunks) == b"a model"
    again = Cluster(empty)
    with sink(empty, tmp_path / "sink2") as second, Worker(empty, tmp_path / "worker2") as worker:
        # The alert that was open is known: the next good value ends it.
        again.statistic(2, "share", 0.1)
        again.flush()
        wait_for(lambda: again.read(ALERTS), worker.log)
        assert [each.state.value for each in again.read(ALERTS)] == ["resolved"]
        wait_for(lambda: len(rows(empty, _ALERTS)) == 2, second.log)
        wait_for(lambda: rows(empty, "SELECT count() FROM statistics") == [(2,)], second.log)
        assert rows(empty, _DEFINITIONS) == before[_DEFINITIONS], "restored definitions are no new ones"
    assert len(again.read(MLAPPS)) == 1


def test_a_backup_goes_into_an_empty_folder_and_an_empty_platform_only(
    settings: Settings, empty: Settings, tmp_path: Path
):
    create_topics(settings)
    migrate(settings)
    Cluster(settings).apply(RULE)
    copy = tmp_path / "copy"
    back_up(settings, copy)
    with pytest.raises(BackupError, match="is not empty; name a new folder"):
        back_up(settings, copy)
    assert "is not empty: a backup is restored into" in mcenter(
        settings, tmp_path, "restore", str(copy), exit_code=1
    )
    migrate(empty)
    assert "tables: a backup is restored into" in mcenter(empty, tmp_path, "restore", str(copy), exit_code=1)
    with clickhouse_client(empty.clickhouse, database="default") as client:
        client.execute(f"DROP DATABASE {empty.clickhouse.database}")
    broken = tmp_path / "broken"
    shutil.copytree(copy, broken)
    (broken / "backup.json").unlink()
    assert "holds no whole backup" in mcenter(empty, tmp_path, "restore", str(broken), exit_code=1)


def test_a_place_that_clickhouse_cannot_write_is_said(settings: Settings, tmp_path: Path):
    create_topics(settings)
    migrate(settings)
    said = mcenter(
        settings, tmp_path, "backup", str(tmp_path / "copy"), "--warehouse", "Disk('none', 'x')", exit_code=1
    )
    assert "ClickHouse: " in said
    assert not (tmp_path / "copy" / "backup.json").exists()


def test_who_reads_can_neither_take_nor_restore_a_backup(settings: Settings, tmp_path: Path):
    migrate(settings)
    name = settings.clickhouse.database
    reading = dataclasses.replace(settings.clickhouse, read_only=True)
    for statement in (
        f"BACKUP DATABASE {name} TO File('{tmp_path}/x')",
        f"RESTORE DATABASE {name} AS other FROM File('{tmp_path}/x')",
    ):
        with clickhouse_client(reading) as client, pytest.raises(ServerException, match="readonly mode"):
            client.execute(statement)
