"""How often the 95 % interval of `mcenter impact` holds the true change, and what the naive difference says.

python -m benchmarks impact
"""

from __future__ import annotations

import os
from typing import Final

import numpy as np

from benchmarks.correlate import interval
from parallelm.warehouse.correlation import Calendar
from parallelm.warehouse.interruption import estimate

CASES: Final = int(os.environ.get("MCENTER_BENCH_CASES", "500"))
SEED: Final = 20130101
SIDES: Final = ((42, 14), (60, 30), (120, 60))
COEFFICIENTS: Final = (0.0, 0.5, 0.9)
EFFECT: Final = 1.0
LEVEL: Final = 20.0
_DAY_MS: Final = 86_400_000


def simulated(
    random: np.random.Generator, before: int, after: int, coefficient: float
) -> tuple[np.ndarray, np.ndarray, Calendar]:
    """A KPI of level 20 with a weekend effect, a line, AR(1) noise of unit variance, and a step of 1."""
    from scipy.signal import lfilter

    days = before + after
    noise = random.standard_normal(days + 200) * np.sqrt(1 - coefficient**2)
    place = np.arange(days)
    is_after = place >= before
    kpi = LEVEL + lfilter([1.0], [1.0, -coefficient], noise)[200:] + EFFECT * is_after
    kpi = kpi + random.uniform(-4, 4) * place / days - random.uniform(0, 6) * (place % 7 >= 5)
    return kpi, is_after, Calendar(0, _DAY_MS, days)


def coverage(
    before: int, after: int, coefficient: float, cases: int, seed: int = SEED
) -> tuple[float, float, float]:
    """Share of cases whose interval holds the truth, its median width, and the median error of the naive difference."""
    random = np.random.default_rng([seed, before, after, int(coefficient * 100)])
    held, widths, errors = 0, [], []
    for _ in range(cases):
        kpi, is_after, calendar = simulated(random, before, after, coefficient)
        found = estimate(kpi, is_after, calendar)
        if found is None:
            raise ValueError(f"{before} and {after} days are too few")
        held += found.low <= EFFECT <= found.high
        widths.append(found.high - found.low)
        errors.append(abs(found.naive - EFFECT))
    return held / cases, float(np.median(widths)), float(np.median(errors))


def main() -> None:
    """Print the table, as Markdown."""
    print(f"{CASES} cases a row, seed {SEED}; the true change is {EFFECT:g}, the noise has deviation 1:")
    print(
        "| noise | days before, after | interval holds the truth | median width | median error of the naive difference |"
    )
    print("|---|---|---|---|---|", flush=True)
    for coefficient in COEFFICIENTS:
        for before, after in SIDES:
            held, width, error = coverage(before, after, coefficient, CASES)
            low, high = interval(held, CASES)
            shown = f"{held:.1%} ({low:.1%} … {high:.1%}) | {width:.2f} | {error:.2f}"
            print(f"| AR({coefficient:g}) | {before}, {after} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
