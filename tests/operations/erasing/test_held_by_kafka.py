"""How long Kafka holds a record, from its topic's settings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from parallelm.operations.erasing.held_by_kafka import held

DAY = 86_400_000
HOUR = 3_600_000
DEFAULTS = {
    "cleanup.policy": "delete",
    "retention.ms": str(7 * DAY),
    "segment.ms": str(DAY),
    "max.compaction.lag.ms": str((1 << 63) - 1),
    "delete.retention.ms": str(DAY),
}


@pytest.mark.parametrize(
    ("changed", "for_ms"),
    [
        ({}, 8 * DAY + HOUR),
        ({"retention.ms": "-1"}, None),
        ({"cleanup.policy": "compact"}, None),
        ({"cleanup.policy": "compact", "max.compaction.lag.ms": str(14 * DAY)}, 15 * DAY + HOUR),
        ({"cleanup.policy": "compact", "retention.ms": "1"}, None),
        ({"cleanup.policy": "compact,delete"}, 8 * DAY + HOUR),
        ({"cleanup.policy": "delete,compact", "max.compaction.lag.ms": str(DAY)}, 2 * DAY + HOUR),
        ({"max.compaction.lag.ms": "1"}, 8 * DAY + HOUR),
    ],
    ids=str,
)
def test_a_topic_holds_a_record_as_long_as_its_settings_say(changed: dict[str, str], for_ms: int | None):
    found = held("t", DEFAULTS | changed)
    assert found.for_ms == for_ms
    assert (found.until(0) is None) == (for_ms is None)
    assert found.in_words == ("for ever" if for_ms is None else f"up to {for_ms / DAY:.3g} days")


def test_until_when_is_a_day_and_no_error_however_long_that_is():
    assert held("t", DEFAULTS).until(0) == datetime(1970, 1, 9, 1, tzinfo=UTC)
    assert held("t", DEFAULTS | {"retention.ms": str((1 << 63) - 1)}).until(0) is None


def test_the_reason_names_the_settings():
    assert held("t", DEFAULTS).why == f"retention.ms={7 * DAY}, segment.ms={DAY}"
    assert held("t", DEFAULTS | {"cleanup.policy": "compact"}).why == "max.compaction.lag.ms sets no limit"
