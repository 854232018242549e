"""The bar graph "Feature Importance"."""

from __future__ import annotations

import math
import sys
from typing import Any

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import attribute, distinct, guarded, quoted, type_name
from parallelm.mlops.stats._values import items, numbers, shown
from parallelm.mlops.stats.bar_graph import BarGraph

NAME = "Feature Importance"


def importance_graph(vector: Any, feature_names: Any, model: Any, df: Any, count: Any) -> BarGraph:
    """Bar graph of the ``count`` largest importances, descending. Raises ``MLOpsException`` if something is missing."""
    names = _names(feature_names, df)
    importances = numbers(_vector(vector, model), "the feature importances")
    if feature_names is None and len(names) == len(importances) + 1:
        names = names[1:]  # the training frame, with its labels in the first column
    if len(names) != len(importances):
        raise MLOpsException(f"there are {len(importances)} importances for {len(names)} features")
    if not names:
        raise MLOpsException("there are no features")
    distinct(names, "the feature")
    # NaN cannot be ordered: it goes last.
    ranked = sorted(
        zip(names, importances, strict=True),
        key=lambda pair: -math.inf if math.isnan(pair[1]) else pair[1],
        reverse=True,
    )
    ranked = ranked[: _positive(count)]
    return BarGraph().name(NAME).cols([name for name, _ in ranked]).data([value for _, value in ranked])


def _positive(count: Any) -> int:
    """A count of features, also as text from a command-line option."""
    try:
        number = float(count)
    except Exception as error:
        raise MLOpsException(
            f"num_significant_features must be a positive number, not {quoted(count)}"
        ) from error
    if not number >= 1:
        raise MLOpsException(f"num_significant_features must be a positive number, not {quoted(count)}")
    return int(min(number, sys.maxsize))


def _vector(vector: Any, model: Any) -> Any:
    if vector is not None:
        return vector
    if model is None:
        raise MLOpsException("feature importance needs feature_importance_vector, or a model")
    for name in ("feature_importances_", "coef_", "featureImportances"):
        found = attribute(model, "the model", name)
        if found is not None:
            return _flat(found, f"the attribute {name} of the model")
    raise MLOpsException(f"{type_name(model)} has no feature_importances_: give feature_importance_vector")


@guarded
def _flat(found: Any, what: str) -> Any:  # noqa: ARG001 - for the message
    """A vector of an attribute that may be a matrix of one row (``coef_``) or a Spark vector."""
    if hasattr(found, "toArray"):
        found = found.toArray()
    shape = getattr(found, "shape", ())
    one_row = isinstance(shape, tuple) and len(shape) == 2 and shape[0] == 1  # noqa: PLR2004 - rows and columns
    return found[0] if one_row else found


def _names(feature_names: Any, df: Any) -> list[str]:
    if feature_names is None and df is None:
        raise MLOpsException("feature importance needs feature_names, or the frame (df)")
    if feature_names is None:
        feature_names = attribute(df, "df", "columns")
        if feature_names is None:
            raise MLOpsException(f"df must be a frame with columns, not {type_name(df)}")
    return [shown(name, "the name of a feature") for name in items(feature_names, "feature_names")]
