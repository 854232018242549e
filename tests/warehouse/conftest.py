"""A migrated database of the test's own, and the command line on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_driver import Client

    from parallelm.connections import Settings


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """Client of a migrated database."""
    migrate(settings)
    made = clickhouse_client(settings.clickhouse)
    yield made
    made.disconnect()
