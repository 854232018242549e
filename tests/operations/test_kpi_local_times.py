"""KPI files in local time: the hour that comes twice in autumn, and the one that is missing in spring."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from parallelm.operations.kpis import AmbiguousTimes, KpiFile, KpiFileFormat, NonexistentTimes, read_kpi_file

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


def read(times: list[str], zone: ZoneInfo = BERLIN, **wanted: object) -> KpiFile:
    rows = "".join(f"load,{time},{number}\n" for number, time in enumerate(times))
    return read_kpi_file(f"kpi,timestamp,value\n{rows}".encode(), KpiFileFormat(timezone=zone, **wanted))


def utc(found: KpiFile) -> list[str]:
    return [f"{datetime.fromtimestamp(point.timestamp_ms / 1000, UTC):%m-%d %H:%M}" for point in found.points]


AUTUMN = ["2013-10-27 01:00", "2013-10-27 02:00", "2013-10-27 02:00", "2013-10-27 03:00"]
SPRING = ["2013-03-31 01:00", "2013-03-31 02:00", "2013-03-31 03:00"]


def test_a_doubled_hour_is_refused_by_line():
    found = read(AUTUMN)
    assert [(mistake.line, mistake.column) for mistake in found.mistakes] == [
        (3, "timestamp"),
        (4, "timestamp"),
    ]
    assert "2013-10-27 02:00:00 is shown twice by the clocks of Europe/Berlin" in str(found.mistakes[0])
    assert "--ambiguous by-order, earlier or later" in str(found.mistakes[0])


def test_a_missing_hour_is_refused_by_line():
    [mistake] = read(SPRING).mistakes
    assert mistake.line == 3
    assert "2013-03-31 02:00:00 does not exist in Europe/Berlin" in mistake.what
    assert "--nonexistent forward or backward" in mistake.what


def test_the_hours_of_a_whole_local_year_by_order_are_all_its_moments():
    start = datetime(2012, 12, 31, 23, tzinfo=UTC)
    moments = [start + HOUR * number for number in range(365 * 24)]
    local = [f"{moment.astimezone(BERLIN):%Y-%m-%d %H:%M}" for moment in moments]
    found = read(local, ambiguous=AmbiguousTimes.BY_ORDER)
    assert [point.timestamp_ms for point in found.points] == [
        round(moment.timestamp() * 1000) for moment in moments
    ]
    assert not found.mistakes
    newest_first = read(local[::-1], ambiguous=AmbiguousTimes.BY_ORDER)
    assert [point.timestamp_ms for point in newest_first.points] == [
        round(moment.timestamp() * 1000) for moment in moments[::-1]
    ]


@pytest.mark.parametrize("minutes", [5, 15, 30])
def test_passes_through_the_doubled_hour_differ_in_steps_of_minutes_and_with_gaps(minutes: int):
    start = datetime(2013, 10, 26, 22, tzinfo=UTC)
    moments = [start + timedelta(minutes=minutes) * number for number in range(6 * 60 // minutes)]
    del moments[150 // minutes]
    found = read(
        [f"{moment.astimezone(BERLIN):%Y-%m-%dT%H:%M}" for moment in moments],
        ambiguous=AmbiguousTimes.BY_ORDER,
    )
    assert utc(found) == [f"{moment:%m-%d %H:%M}" for moment in moments]


def test_order_counts_within_each_series():
    rows = "".join(
        f"{kpi},{region},2013-10-27 02:30,1\n"
        for kpi, region in [("a", "x"), ("a", "y"), ("a", "x"), ("a", "y")]
    )
    found = read_kpi_file(
        f"kpi,region,timestamp,value\n{rows}".encode(),
        KpiFileFormat(timezone=BERLIN, ambiguous=AmbiguousTimes.BY_ORDER),
    )
    assert utc(found) == ["10-27 00:30", "10-27 00:30", "10-27 01:30", "10-27 01:30"]


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        (["2013-10-27 01:00", "2013-10-27 02:00", "2013-10-27 03:00"], "passes through that hour once"),
        ([*AUTUMN[:3], "2013-10-27 02:00"], "passes through that hour 3 times"),
        (["2013-10-28 01:00", *AUTUMN], "not in order of time"),
    ],
)
def test_an_order_that_shows_nothing_is_not_guessed(times: list[str], reason: str):
    found = read(times, ambiguous=AmbiguousTimes.BY_ORDER)
    assert found.mistakes
    assert all(reason in mistake.what for mistake in found.mistakes)
    assert all("02:00" in mistake.what for mistake in found.mistakes)


def test_earlier_and_later_choose_one_passage():
    one = [AUTUMN[0], AUTUMN[1], AUTUMN[3]]
    assert utc(read(one, ambiguous=AmbiguousTimes.EARLIER))[1] == "10-27 00:00"
    assert utc(read(one, ambiguous=AmbiguousTimes.LATER))[1] == "10-27 01:00"


def test_a_choice_never_makes_one_point_of_two():
    found = read(AUTUMN, ambiguous=AmbiguousTimes.LATER)
    assert [mistake.line for mistake in found.mistakes] == [3, 4]
    assert "is the same moment as '2013-10-27 02:00' in line 4" in found.mistakes[0].what
    spring = read(SPRING, nonexistent=NonexistentTimes.FORWARD)
    assert [mistake.line for mistake in spring.mistakes] == [3]
    assert utc(spring) == ["03-31 00:00", "03-31 01:00"]
    assert [mistake.line for mistake in read(SPRING, nonexistent=NonexistentTimes.BACKWARD).mistakes] == [3]


def test_missing_times_are_moved_by_the_length_of_the_gap():
    assert utc(read(["2013-03-31 02:30"], nonexistent=NonexistentTimes.FORWARD)) == ["03-31 01:30"]
    assert utc(read(["2013-03-31 02:30"], nonexistent=NonexistentTimes.BACKWARD)) == ["03-31 00:30"]


def test_times_with_an_offset_need_no_choice():
    found = read(["2013-10-27T02:30+02:00", "2013-10-27T02:30+01:00", "2013-03-31T02:30+01:00"])
    assert utc(found) == ["10-27 00:30", "10-27 01:30", "03-31 01:30"]


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("America/Sao_Paulo", "2013-10-20", "10-20 03:00"),
        ("America/Havana", "2013-11-03", "11-03 04:00"),
        ("Europe/Berlin", "2013-10-27", "10-26 22:00"),
    ],
)
def test_a_date_is_the_first_moment_of_its_day_also_where_clocks_change_at_midnight(
    zone: str, day: str, start: str
):
    assert utc(read([day], ZoneInfo(zone))) == [start]


def test_a_day_that_a_zone_has_skipped_does_not_exist():
    [mistake] = read(["2011-12-30"], ZoneInfo("Pacific/Apia")).mistakes
    assert "2011-12-30 does not exist in Pacific/Apia" in mistake.what


def test_dates_in_the_order_of_a_country_and_day_numbers_are_local_times_too():
    [mistake] = read(["27.10.2013 02:30"]).mistakes
    assert "is shown twice" in mistake.what
    [mistake] = read(["41574.104166667"], unit="excel").mistakes
    assert "2013-10-27 02:30:00 is shown twice" in mistake.what
