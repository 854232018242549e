"""A migrated database of the test's own, and the command line on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.connections.clickhouse import clickhouse_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_driver import Client

    from parallelm.connections import Settings


@pytest.fixture
def client(tables: Settings) -> Iterator[Client]:
    """Client of a migrated database."""
    made = clickhouse_client(tables.clickhouse)
    yield made
    made.disconnect()
