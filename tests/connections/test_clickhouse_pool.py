"""Connections that are used again: by nobody else at the same time, not after an error, and not when the server has closed them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver.errors import ServerException

from parallelm.connections.clickhouse_pool import lent_client

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import ClickHouseSettings, Settings


@pytest.fixture
def pooled(settings: Settings) -> ClickHouseSettings:
    return replace(settings.clickhouse, database="default", is_pooled=True)


def who(client: Client) -> int:
    """The port of its connection tells connections apart."""
    client.execute("SELECT 1")
    return int(client.connection.socket.getsockname()[1])


def test_the_next_question_takes_the_same_connection(pooled: ClickHouseSettings):
    with lent_client(pooled) as client:
        first = who(client)
    with lent_client(pooled) as client:
        assert who(client) == first


def test_two_at_a_time_have_two(pooled: ClickHouseSettings):
    with lent_client(pooled) as one, lent_client(pooled) as other:
        assert who(one) != who(other)


def test_one_who_may_write_gets_no_connection_of_one_who_reads(pooled: ClickHouseSettings):
    with lent_client(replace(pooled, read_only=True)) as reading:
        first = who(reading)
    with lent_client(pooled) as writing:
        assert who(writing) != first


def test_after_an_error_it_is_closed(pooled: ClickHouseSettings):
    with lent_client(pooled) as client:
        first = who(client)
    with pytest.raises(ServerException), lent_client(pooled) as client:
        client.execute("SELECT nothing")
    with lent_client(pooled) as client:
        assert who(client) != first


def test_one_that_the_server_has_closed_meanwhile_is_opened_anew(pooled: ClickHouseSettings):
    with lent_client(pooled) as client:
        client.execute("SELECT 1")
        client.connection.socket.shutdown(2)
    with lent_client(pooled) as client:
        assert client.execute("SELECT 2") == [(2,)]


def test_without_a_pool_each_question_closes_its_own(settings: Settings):
    with lent_client(replace(settings.clickhouse, database="default")) as client:
        first = who(client)
    assert not client.connection.connected
    with lent_client(replace(settings.clickhouse, database="default")) as client:
        assert who(client) != first
