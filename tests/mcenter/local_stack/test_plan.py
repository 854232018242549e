"""What a stack shall be, and what it writes down for its users."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from parallelm.connections import Settings, load_settings, save_settings
from parallelm.connections.artifacts import artifact_url, filesystem, local_path
from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.plan import Plan

PORTS = {"kafka": 20_001, "clickhouse": 20_002, "clickhouse_http": 20_003}


def test_a_plan_travels_on_a_command_line(tmp_path: Path):
    for file in (None, tmp_path / "n.yaml"):
        plan = Plan(tmp_path, ("kafka", "clickhouse"), kafka_port=20_001, notifications=file)

        assert Plan.from_json(plan.to_json()) == plan


def test_the_settings_file_says_where_everything_is(tmp_path: Path):
    settings = Plan(tmp_path).settle_settings(PORTS).settings

    assert load_settings({}, file=tmp_path / "mcenter.toml") == settings
    assert settings.kafka.bootstrap_servers == "127.0.0.1:20001"
    assert (settings.clickhouse.port, settings.clickhouse.http_port) == (20_002, 20_003)
    assert settings.artifacts.url == f"file://{tmp_path}/artifacts"


def test_password_and_own_sections_stay(tmp_path: Path):
    path = tmp_path / "mcenter.toml"
    first = Plan(tmp_path).settle_settings(PORTS).settings
    component = dataclasses.replace(Settings().component, linger_ms=77)
    save_settings(dataclasses.replace(first, component=component), path)

    second = Plan(tmp_path).settle_settings(PORTS | {"kafka": 20_009}).settings

    assert second.clickhouse.password == first.clickhouse.password
    assert second.component.linger_ms == 77
    assert second.kafka.bootstrap_servers == "127.0.0.1:20009"


def test_a_folder_that_was_moved_finds_its_models_and_accounts(tmp_path: Path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    ports = PORTS | {"server": 20_004}
    first = Plan(old).settle_settings(ports).settings
    model = Path(local_path(artifact_url(first.artifacts, "app", "m1", "m.bin")))
    model.parent.mkdir(parents=True)
    model.write_bytes(b"a model")
    for before, folder in ((old, new), (new, old), (old, new)):
        before.rename(folder)
        moved = Plan(folder).settle_settings(ports).settings

        store, path = filesystem(moved.artifacts, artifact_url(first.artifacts, "app", "m1", "m.bin"))
        assert store.cat_file(path) == b"a model"
        assert moved.server.database_url == f"sqlite:///{folder}/server.db"


def test_what_people_say_of_the_store_and_of_another_database_stays(tmp_path: Path):
    first = Plan(tmp_path).settle_settings(PORTS).settings
    own = dataclasses.replace(
        first,
        artifacts=dataclasses.replace(first.artifacts, trusted_keys="k1"),
        server=dataclasses.replace(first.server, database_url="postgresql://127.0.0.1/mcenter"),
    )
    save_settings(own, tmp_path / "mcenter.toml")
    assert Plan(tmp_path).settle_settings(PORTS).settings == own


def test_everybody_reads_and_the_password_that_writes_is_in_a_file_of_its_own(tmp_path: Path):
    found = Plan(tmp_path).settle_settings(PORTS)
    reader, admin = found.settings.clickhouse, found.admin_clickhouse

    assert (reader.user, reader.read_only) == ("reader", True)
    assert (admin.user, admin.read_only) == ("admin", False)
    assert len({reader.password, admin.password}) == 2
    assert min(len(reader.password), len(admin.password)) >= 20
    assert admin.password not in (tmp_path / "mcenter.toml").read_text()
    assert load_settings({}, folder=tmp_path, role="admin").clickhouse == admin
    assert dataclasses.replace(admin, user=reader.user, password=reader.password) == reader
    assert Plan(tmp_path).settle_settings(PORTS) == found


def test_a_stack_without_clickhouse_leaves_the_users_of_another_one(tmp_path: Path):
    theirs = dataclasses.replace(Settings().clickhouse, host="clickhouse.example.org", user="ann")
    save_settings(dataclasses.replace(Settings(), clickhouse=theirs), tmp_path / "mcenter.toml")
    found = Plan(tmp_path, ("kafka",)).settle_settings({"kafka": 20_001})

    assert found.settings.clickhouse == found.admin_clickhouse == theirs


def test_the_server_hands_on_the_stacks_own_reader(tmp_path: Path):
    found = Plan(tmp_path).settle_settings(PORTS | {"server": 20_004}).settings

    own = found.server
    reader = found.clickhouse
    assert (own.component_clickhouse_user, own.component_clickhouse_password) == (
        reader.user,
        reader.password,
    )


def test_a_damaged_settings_file_is_reported(tmp_path: Path):
    (tmp_path / "mcenter.toml").write_text("[kafka\n")

    with pytest.raises(StackError, match=r"mcenter\.toml cannot be read.*correct or remove"):
        Plan(tmp_path).settle_settings(PORTS)


def test_two_stacks_have_different_passwords(tmp_path: Path):
    passwords = {
        Plan(tmp_path / name).settle_settings(PORTS).settings.clickhouse.password for name in ("a", "b")
    }

    assert len(passwords) == 2
