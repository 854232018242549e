"""Whether features have drifted, by one report of their distribution: what rules of type ``health`` judge by.

Two questions are asked of each feature, as NannyML and Evidently advise: is the difference *significant*, so that a small
sample does not page by chance, and is it *large enough to matter*, so that a huge sample does not page for nothing.

- Significant: the tests of a feature (its whole table, Kolmogorov-Smirnov, missing values, new categories) become one
  p-value by Bonferroni's correction, which holds however they depend on each other; then Benjamini and Hochberg (1995)
  bound the share of false discoveries over the features of the report.
- Large enough: by the measure that the rule names, or, if it is ``p_value``, a Jensen-Shannon divergence of ``min_effect``.

The similarity score is judged alone, as on the original platform: it knows no sample sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from parallelm.definitions.rules.health import (
    FALSE_DISCOVERY_RATE,
    MIN_EFFECT,
    MIN_ROWS,
)
from parallelm.schemas import well_known as names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCORE: Final = "score"
P_VALUE: Final = "p_value"
DISTANCES: Final[Mapping[str, str]] = {
    "psi": names.DRIFT_PSI,
    "js": names.DRIFT_JS,
    "ks": names.DRIFT_KS,
}
"""Statistic of each measure that grows with the drift."""
STATISTIC_OF: Final[Mapping[str, str]] = {P_VALUE: names.DRIFT_P_VALUE, **DISTANCES}
"""Statistic of each measure besides the score."""
TESTS: Final = (
    names.DRIFT_P_VALUE,
    names.DRIFT_KS_P_VALUE,
    names.DRIFT_MISSING_P_VALUE,
    names.DRIFT_NEW_CATEGORIES_P_VALUE,
)
STATISTICS: Final = frozenset(
    {
        *DISTANCES.values(),
        *TESTS,
        names.DRIFT_MISSING,
        names.DRIFT_TRAINING_MISSING,
        names.DRIFT_NEW_CATEGORIES,
        names.DRIFT_ROWS,
        names.DRIFT_TRAINING_ROWS,
    }
)
"""Every statistic that a decision reads, besides the score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettings:
    """What a rule of type ``health`` says."""

    measure: str = P_VALUE
    """``p_value``, ``psi``, ``js``, ``ks`` or ``score``."""
    threshold: float = FALSE_DISCOVERY_RATE
    """Breached below it (``score``, ``p_value``: the false-discovery rate) or above it (``psi``, ``js``, ``ks``)."""
    false_discovery_rate: float = FALSE_DISCOVERY_RATE
    """At which ``psi``, ``js`` and ``ks`` must be significant; 1: they need not be."""
    min_effect: float = MIN_EFFECT
    """Jensen-Shannon divergence in bits below which ``p_value`` sees no drift."""
    min_rows: int = MIN_ROWS
    """A feature of which training or inference has fewer rows is not judged."""


def settings_of(parameters: Mapping[str, Any]) -> DriftSettings:
    """Settings of a rule's parameters, as its form writes them; raises ``ValueError`` for an unknown measure."""
    known = {field.name for field in fields(DriftSettings)}
    settings = DriftSettings(**{name: value for name, value in parameters.items() if name in known})
    if settings.measure not in {P_VALUE, SCORE, *DISTANCES}:
        choice = ", ".join((P_VALUE, *DISTANCES, SCORE))
        raise ValueError(f"the measure of drift is {settings.measure!r}; this version knows: {choice}")
    return settings


@dataclass(frozen=True, slots=True)
class Finding:
    """The judgement on one feature."""

    breached: bool
    value: float
    """The measure; for ``p_value`` the adjusted one, which is compared with the false-discovery rate."""
    threshold: float
    reason: str


def decide(measures: Mapping[str, Mapping[str, float]], settings: DriftSettings) -> dict[str, Finding]:
    """Judge the features of one report: feature → statistic (as in ``well_known``; ``score`` is the similarity) → value.

    Features about which the report says too little are left out: fewer than ``min_rows`` rows, no such measure (no
    Kolmogorov-Smirnov of categories), or NaN. They neither raise nor resolve anything.
    """
    judged = {name: values for name, values in sorted(measures.items()) if _rows_suffice(values, settings)}
    if settings.measure == SCORE:
        scores = {name: _number(values, SCORE) for name, values in judged.items()}
        return {name: _by_score(name, score, settings) for name, score in scores.items() if score is not None}
    tested = {name: p_value for name, values in judged.items() if (p_value := _combined(values)) is not None}
    adjusted = dict(zip(tested, benjamini_hochberg(list(tested.values())), strict=True))
    by = _by_p_value if settings.measure == P_VALUE else _by_distance
    findings = ((name, by(name, judged[name], adjusted, settings)) for name in judged)
    return {name: finding for name, finding in findings if finding is not None}


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: those below a rate are its discoveries. As ``p.adjust(method = "BH")`` in R."""
    count = len(p_values)
    adjusted = [1.0] * count
    least = 1.0
    for rank, index in reversed(list(enumerate(sorted(range(count), key=p_values.__getitem__), start=1))):
        least = min(least, p_values[index] * count / rank)
        adjusted[index] = least
    return adjusted


def _number(values: Mapping[str, float], name: str) -> float | None:
    value = values.get(name)
    return None if value is None or math.isnan(value) else value


def _rows_suffice(values: Mapping[str, float], settings: DriftSettings) -> bool:
    """Unknown counts suffice for the score only, which is reported without them."""
    counts = [_number(values, name) for name in (names.DRIFT_ROWS, names.DRIFT_TRAINING_ROWS)]
    if settings.measure == SCORE:
        return all(count is None or count >= settings.min_rows for count in counts)
    return all(count is not None and count >= settings.min_rows for count in counts)


def _tests(values: Mapping[str, float]) -> dict[str, float]:
    found = {name: _number(values, name) for name in TESTS}
    return {name: min(1.0, max(0.0, value)) for name, value in found.items() if value is not None}


def _combined(values: Mapping[str, float]) -> float | None:
    """One p-value of a feature's tests; None without that of its whole table, which every feature has.

    A report may lie in two records; then neither holds all of a feature, and what is missing must not resolve an alert.
    """
    tests = _tests(values)
    return min(1.0, len(tests) * min(tests.values())) if names.DRIFT_P_VALUE in tests else None


def _by_score(feature: str, score: float, settings: DriftSettings) -> Finding:
    breached = score < settings.threshold
    word = "below" if breached else "not below"
    reason = f"similarity of {feature} is {score:.4g}, {word} {settings.threshold:g}"
    return Finding(breached, score, settings.threshold, reason)


def _by_p_value(
    feature: str, values: Mapping[str, float], adjusted: Mapping[str, float], settings: DriftSettings
) -> Finding | None:
    if feature not in adjusted:
        return None
    value, effect = adjusted[feature], _number(values, names.DRIFT_JS)
    significant = value < settings.threshold
    small = effect is not None and effect < settings.min_effect
    over = f"over {_features(len(adjusted))}"
    if not significant:
        reason = (
            f"no drift of {feature}: adjusted p-value {value:.2g} {over}, not below {settings.threshold:g}"
        )
    elif small:
        reason = (
            f"the drift of {feature} is significant (adjusted p-value {value:.2g} {over}), but small: "
            f"Jensen-Shannon divergence {effect:.2g}, below {settings.min_effect:g}"
        )
    else:
        reason = (
            f"{feature} has drifted: {_what_differs(values)}; adjusted p-value {value:.2g} {over}, below "
            f"{settings.threshold:g}"
        )
    return Finding(significant and not small, value, settings.threshold, reason)


def _by_distance(
    feature: str, values: Mapping[str, float], adjusted: Mapping[str, float], settings: DriftSettings
) -> Finding | None:
    value = _number(values, DISTANCES[settings.measure])
    rate = settings.false_discovery_rate
    p_value = 0.0 if rate >= 1 else adjusted.get(feature)
    if value is None or p_value is None:
        return None
    significant = p_value < rate
    above = value > settings.threshold
    name = f"{settings.measure} of {feature} is {value:.4g}"
    if not above:
        reason = f"{name}, not above {settings.threshold:g}"
    elif not significant:
        reason = (
            f"{name}, above {settings.threshold:g}, but so few rows vary as much without drift: adjusted p-value "
            f"{p_value:.2g} over {_features(len(adjusted))}, not below {rate:g}"
        )
    else:
        reason = f"{name}, above {settings.threshold:g}: {_what_differs(values)}"
    return Finding(above and significant, value, settings.threshold, reason)


def _what_differs(values: Mapping[str, float]) -> str:
    """The tests that are significant by themselves in words, with the numbers that they compare."""
    tests = _tests(values)
    rows = _number(values, names.DRIFT_ROWS)
    of = "" if rows is None else f" of {rows:.0f} rows"
    missing, trained = _number(values, names.DRIFT_MISSING), _number(values, names.DRIFT_TRAINING_MISSING)
    unseen = _number(values, names.DRIFT_NEW_CATEGORIES)
    parts = []
    if missing is not None and _alone(tests, names.DRIFT_MISSING_P_VALUE):
        before = "" if trained is None else f" ({trained:.2%} in training)"
        parts.append(f"{missing:.2%}{of} are missing{before}")
    if unseen is not None and _alone(tests, names.DRIFT_NEW_CATEGORIES_P_VALUE):
        parts.append(f"{unseen:.2%} of the values{of} are in new categories")
    if not parts or _alone(tests, names.DRIFT_KS_P_VALUE):
        parts.append(f"the values{of} are distributed otherwise than in training")
    return " and ".join(parts)


def _alone(tests: Mapping[str, float], name: str) -> bool:
    return tests.get(name, 1.0) * len(tests) < FALSE_DISCOVERY_RATE


def _features(count: int) -> str:
    return "one feature" if count == 1 else f"{count} features"
