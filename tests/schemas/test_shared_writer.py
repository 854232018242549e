"""One producer for all threads of a process, on a real broker: each waits for its own records and hears of their fate."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.errors import UndeliveredError
from parallelm.schemas.shared_writer import SharedWriter, write_confirmed
from parallelm.schemas.topic_writer import OutgoingRecord
from tests.schemas.test_topic_writer import topic, values

if TYPE_CHECKING:
    from parallelm.connections import Settings

__all__ = ["topic"]


def test_what_many_threads_write_is_there_when_each_of_them_returns(settings: Settings, topic: str):
    def write(number: int) -> None:
        key = b"%d" % number
        write_confirmed(
            settings, [OutgoingRecord(topic, key, b"first"), OutgoingRecord(topic, key, b"second")]
        )

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(100)))
    found = values(settings, topic)
    assert len(found) == 200
    for number in range(100):
        assert [value for key, value in found if key == b"%d" % number] == [b"first", b"second"]


def test_who_writes_what_is_refused_hears_of_it_and_nobody_else(settings: Settings, topic: str):
    def write(size: int) -> str:
        try:
            write_confirmed(settings, [OutgoingRecord(topic, b"k", b"x" * size)])
        except UndeliveredError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(4) as pool:
        small, large, also_small = pool.map(write, (1, 20_000_000, 2))
    assert (small, also_small) == ("", "")
    assert "did not confirm 1 of 1 records" in large
    assert "Message size too large" in large
    assert sorted(len(value or b"") for _, value in values(settings, topic)) == [1, 2]


def test_without_a_broker_the_wait_is_bounded_and_all_are_missing(settings: Settings, topic: str):
    away = SharedWriter(dataclasses.replace(settings.kafka, bootstrap_servers="127.0.0.1:9"), timeout_s=1)
    records = [OutgoingRecord(topic, b"k", b"1"), OutgoingRecord(topic, b"k", b"2")]
    with pytest.raises(UndeliveredError, match=r"'127.0.0.1:9' did not confirm 2 of 2 records") as error:
        away.write(records)
    assert list(error.value.records) == records
    assert values(settings, topic) == []
