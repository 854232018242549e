"""The tables do not change under an insert that may or may not be in them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from parallelm.mcenter.migration import migrate_at_rest
from parallelm.schemas import topics
from parallelm.warehouse import MigrationError, migrations
from parallelm.warehouse.migrations import Migration, packaged_migrations
from tests.sinks.test_faults import events, leave_intent

if TYPE_CHECKING:
    from tests.sinks.conftest import Platform


@pytest.fixture
def newer(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform, and code that has one migration more."""
    packaged = packaged_migrations()
    more = Migration(len(packaged) + 1, "more", "CREATE TABLE IF NOT EXISTS more (a Int8) ENGINE = Memory;\n")
    monkeypatch.setattr(migrations, "packaged_migrations", lambda: [*packaged, more])
    return platform


def test_a_migration_waits_for_a_half_done_insert(newer: Platform):
    leave_intent(newer, topics.EVENTS, events(newer, 3))
    with pytest.raises(MigrationError, match=r"events \[0\].*start a sink of the version that wrote"):
        migrate_at_rest(newer.settings)
    with newer.sink():
        newer.wait("SELECT count() FROM events", 3)
    assert [migration.name for migration in migrate_at_rest(newer.settings)] == ["more"]


def test_without_a_change_nobody_asks_kafka(platform: Platform):
    leave_intent(platform, topics.EVENTS, events(platform, 3))
    nobody = dataclasses.replace(platform.settings.kafka, bootstrap_servers="127.0.0.1:1")
    assert migrate_at_rest(dataclasses.replace(platform.settings, kafka=nobody)) == []


def test_without_a_broker_a_change_is_refused(newer: Platform, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("parallelm.sinks.pending._TIMEOUT_S", 1.0)
    nobody = dataclasses.replace(newer.settings.kafka, bootstrap_servers="127.0.0.1:1")
    with pytest.raises(MigrationError, match="see that the broker is up"):
        migrate_at_rest(dataclasses.replace(newer.settings, kafka=nobody))
