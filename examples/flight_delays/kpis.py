"""Upload the business KPIs of each week when it is over: on-time rate and mean arrival delay, by day and by carrier.

    seq -f '2013-06-%02g' 1 30 | python kpis.py

reads days from standard input; on Mondays the week before is uploaded, with the timestamps of its days. A cancelled or
diverted flight is not on time, and has no arrival delay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flights import LATE_MINUTES, Flights, noon
from released_days import released_days

from parallelm.mlops import mlops

if TYPE_CHECKING:
    from datetime import date

MONDAY = 0


def upload(flights: Flights, days: list[date]) -> None:
    """Upload the KPIs of ``days``: those of all flights without a label, those of each carrier under its own."""
    for day in days:
        outcome = flights.outcome(day)
        delay, on_time = outcome["arr_delay"], outcome["arr_delay"] < LATE_MINUTES
        mlops.set_kpi("on-time rate", on_time.mean(), timestamp=noon(day))
        mlops.set_kpi("mean arrival delay", delay.mean(), timestamp=noon(day))
        for carrier, share in on_time.groupby(outcome["carrier"], observed=True).mean().items():
            mlops.set_kpi("carrier on-time rate", share, timestamp=noon(day), labels={"carrier": carrier})
        for carrier, minutes in delay.dropna().groupby(outcome["carrier"], observed=True).mean().items():
            mlops.set_kpi(
                "carrier mean arrival delay", minutes, timestamp=noon(day), labels={"carrier": carrier}
            )
    if days:
        print(f"uploaded the KPIs of {days[0]} to {days[-1]}")


def main() -> None:
    """Process the days on standard input; the days of the last, incomplete week are uploaded at its end."""
    flights = Flights()
    mlops.init()
    week: list[date] = []
    for day in released_days():
        if day.weekday() == MONDAY:
            upload(flights, week)
            week = []
        week.append(day)
    upload(flights, week)
    mlops.done()


if __name__ == "__main__":
    main()
