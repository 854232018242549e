"""Builds the statistic object that ``set_stat(member, data, ...)`` reports for a metric's value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.mlops_exception import MLOpsException, MLOpsStatisticsException
from parallelm.mlops.stats._callers_values import guarded
from parallelm.mlops.stats._values import items, nested, number, numbers, shown, string
from parallelm.mlops.stats.graph import Graph
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.mlops.stats._statistic import Statistic

_ONE_FOR_EACH_CLASS: Final = frozenset(
    {
        ClassificationMetrics.F1_SCORE,
        ClassificationMetrics.FBETA_SCORE,
        ClassificationMetrics.PRECISION_SCORE,
        ClassificationMetrics.RECALL_SCORE,
        *(set(RegressionMetrics) - {RegressionMetrics.MEDIAN_ABSOLUTE_ERROR}),
    }
)
_OPTIONS: Final = ("labels", "true_labels", "pred_labels", "legend")
_V_MEASURES: Final = ("Homogeneity", "Completeness", "V Measure")
_REPORT_NUMBERS: Final = 4
_CURVE_AXES: Final = 2
_CURVE_POINTS: Final = 4096
"""A curve over a large test set has a point for each sample: more than fit in a record or on a screen."""


def metric_object(
    member: ClassificationMetrics | RegressionMetrics | ClusteringMetrics, data: Any, **options: Any
) -> Statistic:
    """The object for ``data`` as scikit-learn returns it.

    Options: ``labels`` (of classes or outputs), ``true_labels`` and ``pred_labels`` (of a contingency matrix),
    ``legend`` (of a curve). Raises ``MLOpsStatisticsException`` for data of another shape or type.
    """
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise MLOpsStatisticsException(
            f"{member.value} takes no {', '.join(unknown)}; it knows: {', '.join(_OPTIONS)}"
        )
    try:
        build = _BUILDERS.get(member)
        if build is not None:
            return build(member.value, data, options)
        if member in _ONE_FOR_EACH_CLASS and not _is_scalar(data, member.value):
            return _lines(member.value, data, options)
        return SingleValue().name(member.value).value(number(data, member.value))
    except MLOpsStatisticsException:
        raise
    except MLOpsException as error:
        raise MLOpsStatisticsException(f"{member.value}: {error}") from error


@guarded
def _is_scalar(data: Any, what: str) -> bool:  # noqa: ARG001 - for the message
    shape = getattr(data, "shape", None)
    return not hasattr(data, "__len__") or (isinstance(shape, tuple) and not shape)


def _lines(name: str, data: Any, options: dict[str, Any]) -> Statistic:
    values = numbers(data, name)
    given = options.get("labels")
    labels = range(len(values)) if given is None else items(given, "labels")
    return _checked(
        MultiLineGraph().name(name).labels([shown(label, "a label") for label in labels]).data(values)
    )


def _checked(statistic: Statistic) -> Statistic:
    statistic.report()
    return statistic


def _table_of_report(name: str, data: Any, _options: dict[str, Any]) -> Statistic:
    header, *lines = [line for line in string(data, name).splitlines() if line.strip()] or [""]
    columns = header.split()
    if len(columns) != _REPORT_NUMBERS or not lines:
        raise MLOpsStatisticsException(f"{name} must be the text that classification_report returns")
    table = Table().name(name).cols(columns)
    for line in lines:
        words = line.split()
        if words[0] == "accuracy" and len(words) < _REPORT_NUMBERS:
            # The row of the accuracy has neither precision nor recall.
            table.add_row("accuracy", ["", "", *words[1:]])
            continue
        cells = line.rsplit(None, _REPORT_NUMBERS)
        label = cells.pop(0).strip() if len(cells) > _REPORT_NUMBERS else ""
        table.add_row(label, cells)
    return _checked(table)


def _matrix(name: str, data: Any, rows: Any, columns: Any) -> Statistic:
    matrix = [items(row, f"each row of {name}") for row in nested(data, name)]
    row_labels, column_labels = (
        items(rows, "the labels of the rows"),
        items(columns, "the labels of the columns"),
    )
    if len(matrix) != len(row_labels) or any(len(row) != len(column_labels) for row in matrix):
        raise MLOpsStatisticsException(
            f"{name} has rows of {sorted({len(row) for row in matrix})} cells, {len(matrix)} of them, for "
            f"{len(row_labels)} row labels and {len(column_labels)} column labels"
        )
    table = Table().name(name).cols([shown(label, "a label") for label in column_labels])
    for label, row in zip(row_labels, matrix, strict=True):
        table.add_row(shown(label, "a label"), [str(number(cell, f"each cell of {name}")) for cell in row])
    return _checked(table)


def _confusion_matrix(name: str, data: Any, options: dict[str, Any]) -> Statistic:
    labels = options.get("labels")
    if labels is None:
        raise MLOpsStatisticsException(f"{name} needs labels=, the classes in the order of its rows")
    return _matrix(name, data, labels, labels)


def _contingency_matrix(name: str, data: Any, options: dict[str, Any]) -> Statistic:
    rows, columns = options.get("true_labels"), options.get("pred_labels")
    if rows is None or columns is None:
        raise MLOpsStatisticsException(f"{name} needs true_labels= (its rows) and pred_labels= (its columns)")
    return _matrix(name, data, rows, columns)


def _curve(name: str, data: Any, options: dict[str, Any], y_title: str, x_title: str) -> Statistic:
    axes = nested(data, name)
    if len(axes) != _CURVE_AXES:
        raise MLOpsStatisticsException(
            f"{name} takes [{y_title.lower()}, {x_title.lower()}], got {len(axes)} series"
        )
    legend = options.get("legend")
    legend = f"{y_title} vs {x_title}" if legend is None else string(legend, "the legend")
    y, x = (items(axis, title.lower()) for axis, title in zip(axes, (y_title, x_title), strict=True))
    if len(x) == len(y) > _CURVE_POINTS:
        x, y = _thinned(x), _thinned(y)
    graph = Graph().name(name).x_title(x_title).y_title(y_title).set_x_series(numbers(x, x_title.lower()))
    return _checked(graph.add_y_series(legend, y))


def _thinned(points: list[Any]) -> list[Any]:
    """At most the allowed number of points, evenly spread, including both ends."""
    last = len(points) - 1
    return [points[step * last // (_CURVE_POINTS - 1)] for step in range(_CURVE_POINTS)]


def _precision_recall_curve(name: str, data: Any, options: dict[str, Any]) -> Statistic:
    return _curve(name, data, options, "Precision", "Recall")


def _roc_curve(name: str, data: Any, options: dict[str, Any]) -> Statistic:
    return _curve(name, data, options, "True Positive Rate", "False Positive Rate")


def _v_measures(name: str, data: Any, _options: dict[str, Any]) -> Statistic:
    return _checked(MultiLineGraph().name(name).labels(_V_MEASURES).data(numbers(data, name)))


_BUILDERS: Final[dict[object, Callable[[str, Any, dict[str, Any]], Statistic]]] = {
    ClassificationMetrics.CLASSIFICATION_REPORT: _table_of_report,
    ClassificationMetrics.CONFUSION_MATRIX: _confusion_matrix,
    ClassificationMetrics.PRECISION_RECALL_CURVE: _precision_recall_curve,
    ClassificationMetrics.ROC_CURVE: _roc_curve,
    ClusteringMetrics.CONTINGENCY_MATRIX: _contingency_matrix,
    ClusteringMetrics.HOMOGENEITY_COMPLETENESS_V_MEASURE: _v_measures,
}
