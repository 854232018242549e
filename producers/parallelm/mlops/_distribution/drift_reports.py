"""Drift as statistics: one for each measure, with one series for each feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parallelm.mlops._reporting.payloads import NumericReport
from parallelm.mlops.stats_category import StatGraphType
from parallelm.schemas import well_known as names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from parallelm.mlops._distribution.drift import Drift

_MEASURES: Final[Mapping[str, Callable[[Drift], float | None]]] = {
    names.DRIFT_PSI: lambda drift: drift.psi,
    names.DRIFT_JS: lambda drift: drift.js,
    names.DRIFT_P_VALUE: lambda drift: drift.p_value,
    names.DRIFT_KS: lambda drift: drift.ks,
    names.DRIFT_KS_P_VALUE: lambda drift: drift.ks_p_value,
    names.DRIFT_MISSING: lambda drift: drift.inference.missing_share,
    names.DRIFT_TRAINING_MISSING: lambda drift: drift.training.missing_share,
    names.DRIFT_MISSING_P_VALUE: lambda drift: drift.missing_p_value,
    names.DRIFT_NEW_CATEGORIES: lambda drift: (
        None if drift.unseen_p_value is None else drift.inference.unseen_share
    ),
    names.DRIFT_NEW_CATEGORIES_P_VALUE: lambda drift: drift.unseen_p_value,
    names.DRIFT_ROWS: lambda drift: drift.inference.rows,
    names.DRIFT_TRAINING_ROWS: lambda drift: drift.training.rows,
}


def drift_reports(drifts: Mapping[str, Drift]) -> Iterator[NumericReport]:
    """One report for each measure, with the features that have it as its lines."""
    for name, measure in _MEASURES.items():
        values = {
            feature: value for feature, drift in drifts.items() if (value := measure(drift)) is not None
        }
        if values:
            yield NumericReport(
                name=name,
                graph_type=str(StatGraphType.MULTILINEGRAPH),
                category="TIME_SERIES",
                samples=tuple((feature, float(value)) for feature, value in values.items()),
                text=repr(values),
                line_label=names.FEATURE_LABEL,
            )
