"""How often `mcenter correlate` finds what is not there, how often it finds what is, and how long 4,000 series take.

python -m benchmarks correlate

Every data set is a KPI and 250 statistics that have nothing to do with it, days in a row; its first 5 and 50 statistics are the
smaller families. A false finding is any adjusted p-value of 5 % or less in the family, over all lags 0 to 7. For power one
statistic of 50 leads the KPI by two days, and counts as found when it is the surest, at that lag, with an adjusted p-value of 5 %
or less: "effect" is the correlation of what is left once season and trend are gone. Intervals are Wilson's, 95 %.

Hours are tried with five statistics only: 60 days of them, each with a season by the hour and AR(0.9) noise from hour to hour.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.correlate_speed import measure
from parallelm.warehouse.correlation import Calendar, adjust, weigh

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Noise = Callable[[np.random.Generator, int, int], NDArray[np.float64]]

DATA_SETS: Final = int(os.environ.get("MCENTER_BENCH_DATA_SETS", "2000"))
POWER_SETS: Final = DATA_SETS // 4
"""Data sets of a cell of power."""
LENGTHS: Final = (60, 120, 365, 730)
FAMILIES: Final = (5, 50, 250)
EFFECTS: Final = (0.3, 0.5, 0.8)
LAGS: Final = 8
LEAD: Final = 2
SEED: Final = 20130101
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
HOURLY_DAYS: Final = 60
HOURLY_FAMILY: Final = 5
_LEVEL: Final = 0.05


def white(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    """Independent values."""
    return random.standard_normal((rows, days))


def autoregressive(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    """AR(0.9) noise of unit variance."""
    from scipy.signal import lfilter

    noise = random.standard_normal((rows, days + 200)) * np.sqrt(1 - 0.9**2)
    series: NDArray[np.float64] = lfilter([1.0], [1.0, -0.9], noise, axis=1)[:, 200:]
    return series


def weekend(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    """A weekend effect of one to four deviations, either way."""
    low = np.arange(days) % 7 >= 5
    effect: NDArray[np.float64] = (
        low * random.uniform(1, 4, (rows, 1)) * random.choice([-1.0, 1.0], (rows, 1))
    )
    return effect


def growing_weekend(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    """A level that rises and a weekend effect that grows with it."""
    return weekend(random, rows, days) * (0.5 + 2 * np.arange(days) / days) + trend(random, rows, days)


def trend(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    """A line that rises or falls by up to eight deviations, and bends."""
    place = np.arange(days) / days
    return random.uniform(-8, 8, (rows, 1)) * place + random.uniform(-4, 4, (rows, 1)) * place**2


def year(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    """A yearly cycle."""
    turn = 2 * np.pi * np.arange(days) / 365.25
    return 2 * np.sin(turn + random.uniform(0, 2 * np.pi, (rows, 1)))


def hours_of_a_day(random: np.random.Generator, rows: int, hours: int) -> NDArray[np.float64]:
    """A level for each hour of the day, with one to four deviations between them."""
    levels = random.standard_normal((rows, 24)) * random.uniform(1, 4, (rows, 1))
    return levels[:, np.arange(hours) % 24]


def hours_and_weekends(random: np.random.Generator, rows: int, hours: int) -> NDArray[np.float64]:
    """The same, with other levels on weekends."""
    is_weekend = np.arange(hours) // 24 % 7 >= 5
    return np.where(is_weekend, hours_of_a_day(random, rows, hours), hours_of_a_day(random, rows, hours))


def _heavy(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    return random.standard_t(1.5, (rows, days)) + weekend(random, rows, days)


def _quiet(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    return (
        white(random, rows, days)
        * np.where(np.arange(days) % 7 >= 5, 0.2, 1.0)
        * (0.3 + np.arange(days) / days)
    )


def _walk(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    return np.cumsum(white(random, rows, days), axis=1)


def _shifts(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    return white(random, rows, days) + 4 * (np.arange(days) >= random.integers(0, days, (rows, 1)))


def _rare(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    return random.poisson(0.3, (rows, days)).astype(np.float64)


def _weekly(random: np.random.Generator, rows: int, days: int) -> NDArray[np.float64]:
    values = white(random, rows, days) + weekend(random, rows, days)
    values[0, np.arange(days) % 7 != 0] = np.nan
    return values


NOISES: Final[Mapping[str, Noise]] = {
    "independent": white,
    "weekend effect": lambda *size: white(*size) + weekend(*size),
    "trend": lambda *size: white(*size) + trend(*size),
    "AR(0.9)": autoregressive,
    "AR(0.9), weekend, trend": lambda *size: autoregressive(*size) + weekend(*size) + trend(*size),
    "growing weekend": lambda *size: white(*size) + growing_weekend(*size),
    "yearly cycle": lambda *size: white(*size) + year(*size),
    "random walk": _walk,
    "heavy tails": _heavy,
    "spread by day, growing": _quiet,
    "a shift of the level": _shifts,
    "counts, most of them zero": _rare,
    "KPI of one day a week": _weekly,
}
HOURLY_NOISES: Final[Mapping[str, Noise]] = {
    "AR(0.9), hours of the day": lambda *size: autoregressive(*size) + hours_of_a_day(*size),
    "AR(0.9), hours, weekends": lambda *size: autoregressive(*size) + hours_and_weekends(*size),
}
POWER_NOISES: Final[Mapping[str, tuple[Noise, Noise]]] = {
    "weekend effect": (white, weekend),
    "trend": (white, trend),
    "AR(0.9), weekend, trend": (autoregressive, lambda *size: weekend(*size) + trend(*size)),
}


@dataclass(frozen=True, slots=True)
class FalseFindings:
    """Of one kind of noise and length."""

    by_family: dict[int, float]
    """Share of data sets with a finding, by number of statistics."""
    tested: float
    """Share of tests that were not too short to tell."""


def false_findings(kind: str, days: int, data_sets: int, seed: int = SEED) -> FalseFindings:
    """Share of data sets in which something is found, where there is nothing."""
    random = np.random.default_rng([seed, days, list(NOISES).index(kind)])
    return _false_findings_of(NOISES[kind], random, Calendar(0, _DAY_MS, days), FAMILIES, data_sets)


def false_findings_by_hour(
    kind: str, days: int, family: int, data_sets: int, seed: int = SEED
) -> FalseFindings:
    """The same of the hours of so many days, with one family of statistics."""
    random = np.random.default_rng([seed, days, 100 + list(HOURLY_NOISES).index(kind)])
    monday_ms = 4 * _DAY_MS
    calendar = Calendar(monday_ms + (LAGS - 1) * _HOUR_MS, _HOUR_MS, 24 * days)
    return _false_findings_of(HOURLY_NOISES[kind], random, calendar, (family,), data_sets)


def _false_findings_of(
    noise: Noise, random: np.random.Generator, calendar: Calendar, families: Sequence[int], data_sets: int
) -> FalseFindings:
    found = dict.fromkeys(families, 0)
    tested = 0.0
    for _ in range(data_sets):
        values = noise(random, max(families) + 1, calendar.count + LAGS - 1)
        p = weigh(values[0, LAGS - 1 :], values[1:], calendar).weights.p
        tested += float(np.isfinite(p).mean())
        for family in families:
            some = p[:family][np.isfinite(p[:family])]
            # Holm's smallest adjusted p-value.
            found[family] += bool(some.size and some.min() * some.size <= _LEVEL)
    return FalseFindings({family: count / data_sets for family, count in found.items()}, tested / data_sets)


def power(kind: str, days: int, effect: float, data_sets: int, seed: int = SEED) -> tuple[float, float]:
    """Shares of data sets in which the planted statistic is the surest and significant, and whose interval holds the truth."""
    random = np.random.default_rng([seed, days, list(POWER_NOISES).index(kind), int(effect * 100)])
    noise, season = POWER_NOISES[kind]
    calendar = Calendar(0, _DAY_MS, days)
    length = days + LAGS - 1
    found = covered = 0
    for _ in range(data_sets):
        core = noise(random, 51, length)
        kpi = effect * np.roll(core[1], LEAD) + np.sqrt(1 - effect**2) * core[0]
        shown = np.concatenate([kpi[None], core[1:]]) + season(random, 51, length)
        weighed = weigh(shown[0, LAGS - 1 :], shown[1:], calendar)
        weights = weighed.weights
        p = np.where(np.isfinite(weights.p), weights.p, 2.0)
        is_surest = int(p.argmin()) == LEAD
        found += is_surest and bool(adjust(weights.p, "holm")[0, LEAD] <= _LEVEL)
        # The effect is stated for one deviation of what is left of the statistic.
        truth = effect * weighed.deviation[0]
        covered += bool(weights.low[0, LEAD] <= truth <= weights.high[0, LEAD])
    return found / data_sets, covered / data_sets


def interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return float(middle - half), float(middle + half)


def _false_findings(cell: tuple[str, int]) -> FalseFindings:
    return false_findings(*cell, DATA_SETS)


def _false_findings_by_hour(kind: str) -> FalseFindings:
    return false_findings_by_hour(kind, HOURLY_DAYS, HOURLY_FAMILY, DATA_SETS)


def _power(cell: tuple[str, int, float]) -> tuple[float, float]:
    return power(*cell, POWER_SETS)


def _shown(share: float, count: int) -> str:
    low, high = interval(share, count)
    return f"{share:.1%} ({low:.1%} … {high:.1%})"


def _table(head: Sequence[str]) -> None:
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|", flush=True)


def main() -> None:
    """Print both tables, as Markdown, and the time of a large question."""
    if DATA_SETS:
        _tables()
    measure()


def _tables() -> None:
    start = time.perf_counter()
    print(f"false findings at 5 %, {DATA_SETS} data sets a cell, seed {SEED}, share and its 95 % interval:")
    _table(("noise", "days", *(f"{family} statistics" for family in FAMILIES), "tested"))
    cells = [(kind, days) for kind in NOISES for days in LENGTHS]
    powers = [(kind, days, effect) for kind in POWER_NOISES for days in LENGTHS for effect in EFFECTS]
    with ProcessPoolExecutor() as pool:
        for (kind, days), found in zip(cells, pool.map(_false_findings, cells), strict=True):
            shares = [_shown(found.by_family[family], DATA_SETS) for family in FAMILIES]
            print(f"| {kind} | {days} | {' | '.join(shares)} | {found.tested:.0%} |", flush=True)
        _table(("noise", "hours", f"{HOURLY_FAMILY} statistics", "tested"))
        hourly = pool.map(_false_findings_by_hour, HOURLY_NOISES)
        for kind, found in zip(HOURLY_NOISES, hourly, strict=True):
            share = _shown(found.by_family[HOURLY_FAMILY], DATA_SETS)
            print(f"| {kind} | {24 * HOURLY_DAYS} | {share} | {found.tested:.0%} |", flush=True)
        print(
            f"one of 50 statistics leads by {LEAD} days; share of {POWER_SETS} data sets that find it, and whose"
        )
        print("interval holds the true effect:")
        _table(("noise", "days", *(f"effect {effect}" for effect in EFFECTS)))
        results = dict(zip(powers, pool.map(_power, powers), strict=True))
    for kind in POWER_NOISES:
        for days in LENGTHS:
            both = [results[kind, days, effect] for effect in EFFECTS]
            print(f"| {kind} | {days} | {' | '.join(f'{found:.0%}, {held:.0%}' for found, held in both)} |")
    print(f"both tables took {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
