"""Calls scikit-learn, and reports what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum
    from types import ModuleType


def sklearn_metrics() -> ModuleType:
    """``sklearn.metrics``, imported at the first use of a metric."""
    try:
        import sklearn.metrics
    except ImportError as error:
        raise MLOpsException(
            f"mlops.metrics needs scikit-learn: pip install 'mcenter-stream[metrics]' ({error})"
        ) from error
    metrics: ModuleType = sklearn.metrics
    return metrics


def classes_of(*labels: Any) -> list[Any]:
    """The classes among the labels, in scikit-learn's order; the columns of multi-label indicators."""
    from sklearn.utils.multiclass import unique_labels

    return list(unique_labels(*labels).tolist())


class Scoring:
    """Base of the families of metrics. ``report`` has the signature of ``set_stat``: (member, data, **options)."""

    def __init__(self, report: Callable[..., object]) -> None:
        self._report = report

    def _scored(self, member: Enum, value: Any, labels: Any = None) -> Any:
        """Report a score, and return it: a number, or one for each class or output."""
        if not hasattr(value, "__len__"):
            self._report(member, value)
        elif labels is None:
            self._report(member, value, labels=range(len(value)))
        else:
            self._report(member, value, labels=labels)
        return value

    def _lines(self, member: Enum, value: Any) -> Any:
        """As ``_scored``, for scores that are one number except in multi-label problems."""
        if hasattr(value, "__len__"):
            labels = [str(index) for index in range(len(value))]
            self._report(MultiLineGraph().name(str(member.value)).labels(labels).data(value))
        else:
            self._report(member, value)
        return value
