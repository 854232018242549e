"""Which of many series move with one: honest about seasons, trends, autocorrelation and the number of tests. Pure functions.

The way of a question:

1. ``calendar``: which season the buckets can have (hour of day, day of week, holidays), from their width and number.
2. ``removal``: season and trend are fitted to each series and taken away, robustly.
3. ``autocorrelation``: how much each value still resembles the one before it, corrected for the bias that step 2 causes.
4. ``whitening``: a filter that turns what is left of the KPI into independent values; statistics take the same filter.
5. ``weighing``: correlation at each lag, p-values, effect sizes with intervals.

Given a series that has nothing to do with the KPI, whatever it looks like, the filtered KPI is independent noise: the test
is then exact up to the estimation of steps 2 to 4. ``python -m benchmarks correlate`` measures what that costs.
"""

from parallelm.warehouse.correlation.calendar import Calendar
from parallelm.warehouse.correlation.weighing import (
    ENOUGH,
    Correction,
    Weighed,
    Weights,
    adjust,
    weigh,
)

__all__ = ["ENOUGH", "Calendar", "Correction", "Weighed", "Weights", "adjust", "weigh"]
