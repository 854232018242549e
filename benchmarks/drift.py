"""What the similarity score sees of a drift, and what the measures beside it see: the table in the docs.

python -m benchmarks drift
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from parallelm.mlops._distribution import distribution_reports
from parallelm.schemas import well_known as names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROWS_TRAINED: Final = 5000
ROWS: Final = 500
REPORTS: Final = 200
FEATURES: Final = 20
COLUMNS: Final = ("score", "psi", "js", "ks", "p_value", "missing_share", "new_category_share")

LETTERS: Final = (0.6, 0.3, 0.1)


def _missing(random: np.random.Generator, share: float) -> Any:
    values = random.normal(size=ROWS)
    values[random.random(ROWS) < share] = np.nan
    return values


CASES: Final[Mapping[str, Callable[[np.random.Generator], Any]]] = {
    "no drift": lambda random: random.normal(size=ROWS),
    "mean moved by one deviation": lambda random: random.normal(1, size=ROWS),
    "half the spread": lambda random: random.normal(0, 0.5, size=ROWS),
    "dead sensor: always 0.0": lambda random: np.zeros(ROWS),  # noqa: ARG005 - nothing is random about it
    "30 % missing": lambda random: _missing(random, 0.3),
    "98 % missing": lambda random: _missing(random, 0.98),
    "all missing": lambda random: _missing(random, 1),
    "categories, no drift": lambda random: random.choice(list("abc"), ROWS, p=LETTERS),
    "5 % in a new category": lambda random: random.choice(list("abcd"), ROWS, p=[0.57, 0.285, 0.095, 0.05]),
}


def compared(training: Any, inference: Any) -> dict[str, float]:
    """Measure to value of one feature."""
    trained = [
        histogram
        for report in distribution_reports(pd.DataFrame({"x": training}))
        for histogram in getattr(report, "histograms", ())
    ]
    found: dict[str, float] = {}
    reports: list[Any] = distribution_reports(pd.DataFrame({"x": inference}), trained)
    for report in reports:
        if report.name.endswith(names.OVERLAP_SUFFIX):
            found["score"] = report.samples[0][1]
        elif report.name.startswith("drift."):
            found[report.name.removeprefix("drift.")] = report.samples[0][1]
    return found


def false_alarms() -> tuple[float, float]:
    """Share of p-values below 0.05 and of reports with an alarm at a false-discovery rate of 0.05, of 100 rows each."""
    random = np.random.default_rng(2)
    frame = pd.DataFrame(random.normal(size=(ROWS_TRAINED, FEATURES))).add_prefix("x")
    trained = [each for report in distribution_reports(frame) for each in getattr(report, "histograms", ())]
    below, reports = 0, 0
    for _ in range(REPORTS):
        later = pd.DataFrame(random.normal(size=(100, FEATURES))).add_prefix("x")
        found: list[Any] = distribution_reports(later, trained)
        p_values = np.sort(
            [value for report in found if report.name == names.DRIFT_P_VALUE for _, value in report.samples]
        )
        below += int((p_values < 0.05).sum())
        reports += bool((p_values <= 0.05 * np.arange(1, FEATURES + 1) / FEATURES).any())
    return below / (REPORTS * FEATURES), reports / REPORTS


def main() -> None:
    """Print the table, as Markdown, and the false alarms."""
    print(f"training of {ROWS_TRAINED} rows, {ROWS} rows compared")
    print(f"| what happened | {' | '.join(COLUMNS)} |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for case, make in CASES.items():
        random = np.random.default_rng(1)
        categories = "categor" in case
        training = (
            random.choice(list("abc"), ROWS_TRAINED, p=LETTERS)
            if categories
            else random.normal(size=ROWS_TRAINED)
        )
        found = compared(training, make(random))
        shown = [f"{found[column]:.2g}" if column in found else "-" for column in COLUMNS]
        print(f"| {case} | {' | '.join(shown)} |")
    below, reports = false_alarms()
    print(f"without drift, {REPORTS} reports of 100 rows over {FEATURES} features:")
    print(
        f"  p-values below 0.05: {below:.1%}; reports with an alarm at a false-discovery rate of 5 %: {reports:.1%}"
    )


if __name__ == "__main__":
    main()
