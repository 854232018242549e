"""A plain script without machine learning and without packages: it watches a shop's orders of last week, day by day."""

import math
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from parallelm.mlops import mlops
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.table import Table

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
SHOPS = {"Leipzig": 40, "Gdańsk": 55, "São Paulo": 90}
EDGES = [0, 10, 20, 50, 100, math.inf]


def main() -> None:
    """Report seven days under their own dates."""
    mlops.init()
    mlops.set_event(Event("week opened", "orders of one week", {"shops": list(SHOPS)}))
    random.seed(7)
    for day in range(7):
        # All reports in the block have this event time.
        with mlops.event_time(FIRST_DAY + timedelta(days=day)):
            report_day({shop: orders_of(mean) for shop, mean in SHOPS.items()})
    report_week()
    mlops.set_event("week closed", EventType.System, "7 days")
    mlops.done()


def orders_of(mean: int) -> list[float]:
    """Amounts of one shop's orders on one day."""
    return [round(random.expovariate(1 / 30), 2) for _ in range(random.randint(mean - 20, mean + 20))]


def report_day(orders: dict[str, list[float]]) -> None:
    """Numbers, lines, a table, a histogram, KPIs, and an alert on a day with a huge order."""
    everything = [amount for amounts in orders.values() for amount in amounts]
    mlops.set_stat("orders", len(everything))
    mlops.set_stat("mean amount", sum(everything) / len(everything))
    mlops.set_stat(
        MultiLineGraph().name("orders by shop").labels(list(orders)).data([len(a) for a in orders.values()])
    )
    table = Table().name("day by shop").columns_names(["orders", "revenue", "largest"])
    for shop, amounts in orders.items():
        table.add_row(shop, [len(amounts), round(sum(amounts), 2), max(amounts)])
        mlops.set_kpi("revenue", round(sum(amounts), 2), labels={"shop": shop})
    mlops.set_stat(table)
    counts = [sum(low <= amount < high for amount in everything) for low, high in pairwise(EDGES)]
    mlops.set_stat(BarGraph().name("amounts").cols(EDGES).data(counts).as_continuous())
    largest = max(everything)
    if largest > 180:
        mlops.data_alert("huge order", f"an order of {largest:.2f}", {"amount": largest})


def report_week() -> None:
    """Graphs, bars, and data that are neither numbers nor tables."""
    days = [f"{FIRST_DAY + timedelta(days=day):%a}" for day in range(7)]
    target = [180, 180, 180, 180, 220, 260, 140]
    mlops.set_stat(
        Graph()
        .name("orders expected")
        .x_title("day")
        .y_title("orders")
        .set_categorical()
        .set_x_series(days)
        .add_y_series("target", target)
        .annotate("payday", x="Fri")
    )
    open_hours, sundays = {8: 3, 12: 9, 18: 14}, {12: 5, 15: 8}
    mlops.set_stat(
        MultiGraph()
        .name("orders by hour")
        .set_continuous()
        .add_series(x=list(open_hours), y=list(open_hours.values()), label="weekdays")
        .add_series(x=list(sundays), y=list(sundays.values()), label="Sundays")
    )
    mlops.set_stat(BarGraph().name("shops' size").cols(list(SHOPS)).data(list(SHOPS.values())))
    mlops.set_stat(Opaque().name("settings").data({"edges": EDGES[:-1], "seed": 7}))
    mlops.set_stat(HTML().name("note").data("<p>São Paulo counts <b>double</b> in March.</p>"))
    mlops.set_stat("days without orders", math.nan)
    mlops.system_alert("disk", "the order archive is 91 % full", {"path": "/archive", "used": 0.91})


if __name__ == "__main__":
    main()
