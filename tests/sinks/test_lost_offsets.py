"""Logs that lost what was committed, while a crashed sink's block may or may not be in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.schemas import topics
from parallelm.sinks.errors import LostCertaintyError
from tests.sinks.test_faults import delete_records, events, leave_intent

if TYPE_CHECKING:
    from tests.sinks.conftest import Platform


def test_a_crashed_block_that_retention_cut_is_not_inserted_twice(platform: Platform):
    values = events(platform, 5)
    with platform.sink():
        for value in values:
            platform.send(topics.EVENTS, value, partition=0, flush=False)
        platform.flush()
        platform.wait("SELECT count() FROM events", 5)
    leave_intent(platform, topics.EVENTS, [], last=4)
    delete_records(platform, topics.EVENTS, before=2)
    with (
        pytest.raises(LostCertaintyError, match=r"\d rows of them are in events"),
        platform.sink() as sink,
    ):
        sink.wait_until_ended()
    assert platform.value("SELECT count() FROM events") == 5


def test_what_retention_left_of_a_crashed_block_is_inserted_when_nothing_of_it_is_there(platform: Platform):
    leave_intent(platform, topics.EVENTS, events(platform, 5))
    delete_records(platform, topics.EVENTS, before=2)
    with platform.sink():
        platform.wait("SELECT count() FROM events", 3)
        platform.wait("SELECT count() FROM dead_letters WHERE stage = 'retention'", 1)
