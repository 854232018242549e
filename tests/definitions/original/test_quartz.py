"""Cron expressions of the original platform say the same here, or are refused with the reason."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from parallelm.definitions.original.quartz import from_quartz, to_quartz


@pytest.mark.parametrize(
    ("quartz", "ours"),
    [
        ("0 0 12 * * ?", "0 12 * * *"),
        ("0 15 10 ? * MON-FRI", "15 10 * * MON-FRI"),
        ("0 15 10 ? * 2-6", "15 10 * * 1-5"),
        ("0 15 10 ? * 1,7", "15 10 * * 0,6"),
        ("0 0/5 14,18 * * ?", "*/5 14,18 * * *"),
        ("0 10/20 * * * ? *", "10-59/20 * * * *"),
        ("0 15 10 L * ?", "15 10 L * *"),
        ("0 15 10 LW * ?", "15 10 LW * *"),
        ("0 15 10 ? * 6L", "15 10 * * 5L"),
        ("0 15 10 ? * 6#3", "15 10 * * 5#3"),
        ("0 15 10 ? * L", "15 10 * * 6"),
        ("0 0 0 1/5 * ?", "0 0 */5 * *"),
        ("0 0 0 ? * 2/2", "0 0 * * 1-6/2"),
        ("0 11 11 11 11 ?", "11 11 11 11 *"),
    ],
)
def test_expressions_of_quartz_are_read(quartz: str, ours: str):
    assert from_quartz(quartz) == (ours, "")


def test_seconds_are_dropped_and_told():
    assert from_quartz("30 0 12 * * ?") == ("0 12 * * *", "it ran 30 seconds after the minute")


@pytest.mark.parametrize(
    ("quartz", "reason"),
    [
        ("0/10 * * * * ?", "several times a minute"),
        ("* * * * * ?", "several times a minute"),
        ("0 0 12 15W * ?", "counts working days"),
        ("0 0 12 L-3 * ?", "back from the end of the month"),
        ("0 0 12 * * ? 2027", "names years"),
        ("0 12 * * *", "has 5 fields, a Quartz expression has six or seven"),
        ("0 0 25 * * ?", "'25' is not a hour"),
        ("", "has 0 fields"),
    ],
)
def test_what_cannot_be_written_here_is_refused_with_the_reason(quartz: str, reason: str):
    with pytest.raises(ValueError, match=reason):
        from_quartz(quartz)


def test_days_of_month_and_week_together_cannot_be_written_there():
    with pytest.raises(ValueError, match="both days of the month and of the week"):
        to_quartz("0 0 13 * fri")


_MINUTES = st.sampled_from(["0", "5,35", "*/10", "10-50/20", "*"])
_MONTHS = st.sampled_from(["*", "1-3", "JAN", "*/3", "6"])


@given(
    _MINUTES,
    st.sampled_from(["0", "*", "8-18", "*/4"]),
    st.sampled_from(["*", "1", "L", "LW", "*/5", "1-7"]),
    _MONTHS,
)
def test_days_of_the_month_come_back(minute: str, hour: str, day: str, month: str):
    _come_back(f"{minute} {hour} {day} {month} *")


@given(
    _MINUTES,
    _MONTHS,
    st.lists(
        st.sampled_from(["0", "7", "1-5", "SUN", "mon-wed", "3#2", "5L", "sat", "*/2"]),
        min_size=1,
        max_size=3,
    ),
)
def test_days_of_the_week_come_back(minute: str, month: str, days: list[str]):
    _come_back(f"{minute} 3 * {month} {','.join(days)}")


def _come_back(cron: str) -> None:
    again, differs = from_quartz(to_quartz(cron))
    assert differs == ""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    before, after = CronSim(cron, start), CronSim(again, start)
    assert [next(before) for _ in range(50)] == [next(after) for _ in range(50)], again
