"""When runs are due: held against a cron that looks at the clock each minute, also where clocks change."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parallelm.definitions.due_times import due_times, jitter_ms, next_due
from parallelm.definitions.running import ScheduleForm

MINUTE_MS = 60_000
DAY_MS = 86_400_000


def _ms(text: str, zone: str = "UTC", fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(local.timestamp() * 1000)


def _local(ms: int, zone: str) -> str:
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).strftime("%m-%d %H:%M%z")


def _due(cron: str, zone: str, after: str, until: str) -> list[str]:
    found = due_times(ScheduleForm(cron=cron, timezone=zone), _ms(after, zone), _ms(until, zone))
    return [_local(ms, zone) for ms in found]


@pytest.mark.parametrize(
    ("cron", "zone", "day", "expected"),
    [
        # Clocks go from 2:00 to 3:00.
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["03-29 03:00+0200"]),
        ("15,45 2 * * *", "Europe/Berlin", "2026-03-29", ["03-29 03:00+0200"]),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-29", ["03-29 03:00+0200"]),
        ("30 1,2,3 * * *", "America/New_York", "2026-03-08", ["03-08 01:30-0500", "03-08 03:00-0400", "03-08 03:30-0400"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-29", []),
        # Clocks go from 3:00 back to 2:00.
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["10-25 02:30+0200"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-25",
         ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100"]),
        ("30 1 * * *", "America/New_York", "2026-11-01", ["11-01 01:30-0400"]),
        # Clocks change by half an hour: from 2:00 to 2:30, and from 2:00 back to 1:30.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["10-04 02:30+1100"]),
        ("*/30 3 * * *", "Australia/Lord_Howe", "2026-10-04", ["10-04 03:00+1100", "10-04 03:30+1100"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["04-05 01:45+1100"]),
        ("45 1-2/1 * * *", "Australia/Lord_Howe", "2026-04-05", ["04-05 01:45+1100", "04-05 02:45+1030"]),
        ("*/45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["04-05 01:00+1100", "04-05 01:45+1100", "04-05 01:45+1030"]),
        # Clocks change at midnight: that day begins at 1:00.
        ("0 0 * * *", "Africa/Cairo", "2026-04-24", ["04-24 01:00+0300"]),
    ],
)  # fmt: skip
def test_days_on_which_clocks_change(cron: str, zone: str, day: str, expected: list[str]):
    night = datetime.fromisoformat(day) - timedelta(minutes=1)
    assert _due(cron, zone, str(night), f"{day} 23:59") == expected


def test_a_day_on_which_clocks_change_has_23_or_25_hourly_runs():
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24)):
        start = datetime.fromisoformat(day)
        found = _due("0 * * * *", "Europe/Berlin", str(start - timedelta(seconds=1)), f"{day} 23:59")
        assert len(found) == hours


def test_an_hourly_run_comes_also_where_clocks_change_by_half_an_hour():
    found = _due("30 * * * *", "Australia/Lord_Howe", "2026-04-05 00:59", "2026-04-05 03:00")
    assert found == ["04-05 01:30+1100", "04-05 01:30+1030", "04-05 02:30+1030"]


def test_a_run_is_due_after_the_time_given_and_at_the_latest_at_the_other():
    at = _ms("2026-05-01 03:00")
    schedule = ScheduleForm(cron="0 3 * * *")
    assert list(due_times(schedule, at - 1, at)) == [at]
    assert list(due_times(schedule, at, at)) == []
    assert next_due(schedule, at) == at + DAY_MS


def test_a_leap_day_is_found_years_ahead():
    assert next_due(ScheduleForm(cron="0 0 29 2 *"), _ms("2026-01-01")) == _ms("2028-02-29")


ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana",
    "America/Santiago", "Asia/Kolkata", "Africa/Casablanca", "Antarctica/Troll",
]  # fmt: skip


def _changes(zone: str) -> list[int]:
    """Hours of 2026 and 2027 at which the offset from UTC changes, or the first one."""
    info = ZoneInfo(zone)
    hours = range(_ms("2026-01-01"), _ms("2028-01-01"), 60 * MINUTE_MS)
    offsets = [datetime.fromtimestamp(ms / 1000, info).utcoffset() for ms in hours]
    changed = zip(hours, offsets, offsets[1:], strict=False)
    return [ms for ms, before, after in changed if before != after] or [hours[0]]


CHANGES = {zone: _changes(zone) for zone in ZONES}


def _cron_that_looks_each_minute(cron: str, zone: str, after_ms: int, until_ms: int) -> list[int]:
    """As Debian's cron: each minute it runs what that minute matches; for what names hour and minute it walks, at a jump
    ahead, through the minutes that were skipped, and does not walk twice through those that come twice."""
    fields = CronSim(cron, datetime(2000, 1, 1))  # noqa: DTZ001 - fields only
    by_the_wall = any(field.startswith("*") for field in cron.split()[:2])

    def matches(wall: datetime) -> bool:
        return (
            wall.minute in fields.minutes
            and wall.hour in fields.hours
            and wall.month in fields.months
            and bool(fields.match_day(wall.date()))
        )

    info, found = ZoneInfo(zone), []
    start = after_ms - 2 * DAY_MS
    handled = datetime.fromtimestamp(start / 1000, info).replace(tzinfo=None) - timedelta(minutes=1)
    for ms in range(start, until_ms + 1, MINUTE_MS):
        wall = datetime.fromtimestamp(ms / 1000, info).replace(tzinfo=None)
        if by_the_wall:
            due = matches(wall)
        else:
            due = False
            while handled < wall:
                handled += timedelta(minutes=1)
                due = due or matches(handled)
        if due and ms > after_ms:
            found.append(ms)
    return found


_minutes = st.sampled_from(["0", "30", "15,45", "*", "*/7", "5-20/5", "59"])
_hours = st.sampled_from(["0", "1", "2", "3", "1-3", "*", "*/2", "23", "0,2"])
_days = st.sampled_from(["*", "*", "1", "*/2", "L", "5-8"])
_weekdays = st.sampled_from(["*", "*", "sun", "mon-fri", "sun#1", "0"])


@settings(max_examples=60, deadline=None)
@given(
    minute=_minutes, hour=_hours, day=_days, weekday=_weekdays, zone=st.sampled_from(ZONES), data=st.data()
)
@example(minute="30", hour="2", day="*", weekday="*", zone="Antarctica/Troll", data=None)
def test_runs_are_due_as_cron_would_start_them(
    minute: str, hour: str, day: str, weekday: str, zone: str, data: st.DataObject | None
):
    cron = f"{minute} {hour} {day} * {weekday}"
    change = CHANGES[zone][0] if data is None else data.draw(st.sampled_from(CHANGES[zone]))
    after = change + (0 if data is None else data.draw(st.integers(-400, 200))) * MINUTE_MS
    until = after + (600 if data is None else data.draw(st.integers(1, 600))) * MINUTE_MS
    schedule = ScheduleForm(cron=cron, timezone=zone)
    found = list(due_times(schedule, after, until))
    assert found == _cron_that_looks_each_minute(cron, zone, after, until)
    assert found == sorted(set(found))
    # Walking from one to the next finds the same: what the scheduler does over its restarts.
    walked, at = [], after
    while (at := next_due(schedule, at) or until + 1) <= until:
        walked.append(at)
    assert walked == found


def test_jitter_is_always_the_same_and_spreads_nodes():
    schedule = ScheduleForm(cron="0 * * * *", jitter="10m")
    delays = [jitter_ms(schedule, f"app-{n}", "train") for n in range(500)]
    assert delays == [jitter_ms(schedule, f"app-{n}", "train") for n in range(500)]
    assert all(0 <= delay < 10 * MINUTE_MS for delay in delays)
    tenths = [sum(1 for delay in delays if delay // MINUTE_MS == n) for n in range(10)]
    assert min(tenths) >= 25
    assert jitter_ms(schedule, "ab", "c") != jitter_ms(schedule, "a", "bc")
    assert jitter_ms(ScheduleForm(cron="0 * * * *"), "app", "train") == 0


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berlln", "did you mean 'Europe/Berlin'?"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("Berlin", "did you mean 'Europe/Berlin'?"),
        ("New York", "did you mean 'America/New_York'?"),
        ("localtime", "time zone 'localtime'"),
        ("../../etc/passwd", "write UTC or a name such as Europe/Berlin"),
        ("", "time zone ''"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest(zone: str, hint: str):
    with pytest.raises(ValueError, match="there is no time zone") as refused:
        ScheduleForm(cron="0 3 * * *", timezone=zone)
    assert hint in str(refused.value)
