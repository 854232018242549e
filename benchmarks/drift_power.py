"""How seldom the default health rule pages without drift, and how soon it finds drift: the tables in docs/drift.md.

python -m benchmarks drift_power
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from parallelm.mlops._distribution import distribution_reports
from parallelm.stream_processors.alerts.drift_decision import STATISTICS, DriftSettings, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROWS_TRAINED: Final = 5000
ROWS: Final = (50, 100, 200, 500, 1000, 5000)
RUNS: Final = 100
QUIET_REPORTS: Final = 1000
FEATURES: Final = 20
LETTERS: Final = (0.6, 0.3, 0.1)


def _letters(random: np.random.Generator, rows: int, new: float) -> Any:
    return random.choice(list("abcd"), rows, p=[*(share * (1 - new) for share in LETTERS), new])


def _missing(random: np.random.Generator, rows: int, share: float) -> Any:
    values = random.normal(size=rows)
    values[random.random(rows) < share] = np.nan
    return values


CASES: Final[Mapping[str, tuple[str, Callable[[np.random.Generator, int], Any]]]] = {
    "mean moved by 0.1 deviations": ("normal0", lambda random, rows: random.normal(0.1, size=rows)),
    "mean moved by 0.25 deviations": ("normal0", lambda random, rows: random.normal(0.25, size=rows)),
    "mean moved by 0.5 deviations": ("normal0", lambda random, rows: random.normal(0.5, size=rows)),
    "mean moved by 1 deviation": ("normal0", lambda random, rows: random.normal(1, size=rows)),
    "0.8 of the spread": ("normal0", lambda random, rows: random.normal(0, 0.8, size=rows)),
    "half the spread": ("normal0", lambda random, rows: random.normal(0, 0.5, size=rows)),
    "dead sensor: always the mean": ("normal0", lambda random, rows: np.zeros(rows)),  # noqa: ARG005 - not random
    "2 % in a new category": ("few0", lambda random, rows: _letters(random, rows, 0.02)),
    "5 % in a new category": ("few0", lambda random, rows: _letters(random, rows, 0.05)),
    "5 % missing": ("normal0", lambda random, rows: _missing(random, rows, 0.05)),
    "10 % missing": ("normal0", lambda random, rows: _missing(random, rows, 0.1)),
    "30 % missing": ("normal0", lambda random, rows: _missing(random, rows, 0.3)),
}


def table(rows: int, random: np.random.Generator) -> pd.DataFrame:
    """Twenty features without drift: bell-shaped, skewed, rounded, with few and with many categories."""
    columns: dict[str, Any] = {f"normal{index}": random.normal(size=rows) for index in range(8)}
    columns |= {f"skewed{index}": random.exponential(size=rows) for index in range(4)}
    columns |= {f"rounded{index}": random.poisson(40, rows) for index in range(3)}
    columns |= {f"few{index}": _letters(random, rows, 0) for index in range(3)}
    rare = 1 / np.arange(1, 21) ** 2
    columns |= {
        f"rare{index}": random.choice(20, rows, p=rare / rare.sum()).astype(str) for index in range(2)
    }
    return pd.DataFrame(columns)


class Trained:
    """What the model was trained on, and the decisions on later data."""

    def __init__(self, random: np.random.Generator) -> None:
        reports: list[Any] = distribution_reports(table(ROWS_TRAINED, random))
        self._histograms = [each for report in reports for each in getattr(report, "histograms", ())]

    def measures(self, data: pd.DataFrame) -> dict[str, dict[str, float]]:
        """Feature → statistic → value of one report."""
        found: dict[str, dict[str, float]] = {}
        reports: list[Any] = distribution_reports(data, self._histograms)
        for report in reports:
            if report.name in STATISTICS:
                for feature, value in report.samples:
                    found.setdefault(feature, {})[report.name] = value
        return found

    def breached(self, data: pd.DataFrame, settings: DriftSettings) -> list[str]:
        """Features that have drifted."""
        return [name for name, found in decide(self.measures(data), settings).items() if found.breached]


def found_share(case: str, rows: int, trained: Trained, random: np.random.Generator) -> float:
    """Share of reports in which the one feature of twenty that has drifted is found."""
    feature, drifted = CASES[case]
    found = 0
    for _ in range(RUNS):
        data = table(rows, random).assign(**{feature: drifted(random, rows)})
        found += feature in trained.breached(data, DriftSettings())
    return found / RUNS


def main() -> None:
    """Print both tables, as Markdown."""
    random = np.random.default_rng(20130101)
    trained = Trained(random)
    print(f"training of {ROWS_TRAINED} rows, {FEATURES} features, false alarms in {QUIET_REPORTS} reports:")
    rates = (0.001, 0.01, 0.05)
    print("| rows of a report | " + " | ".join(f"threshold {rate:g}" for rate in rates) + " |")
    print("|---" * (len(rates) + 1) + "|")
    for rows in (50, 100, 500):
        alarms = dict.fromkeys(rates, 0)
        for _ in range(QUIET_REPORTS):
            measures = trained.measures(table(rows, random))
            for rate in rates:
                decided = decide(measures, DriftSettings(threshold=rate))
                alarms[rate] += sum(finding.breached for finding in decided.values())
        print(f"| {rows} | " + " | ".join(str(count) for count in alarms.values()) + " |", flush=True)
    print(f"one of {FEATURES} features has drifted; share of {RUNS} reports that find it:")
    print("| what happened | " + " | ".join(f"{rows} rows" for rows in ROWS) + " |")
    print("|---" * (len(ROWS) + 1) + "|")
    for case in CASES:
        shares = [f"{found_share(case, rows, trained, random):.0%}" for rows in ROWS]
        print(f"| {case} | " + " | ".join(shares) + " |", flush=True)


if __name__ == "__main__":
    main()
