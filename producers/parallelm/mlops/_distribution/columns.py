"""The present values of an array's or a frame's features, one column at a time; missing values are left out."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parallelm.mlops._distribution.categories import Categories, by_text, may_be_number
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import distinct, type_name
from parallelm.mlops.stats._values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_FIRST_LOOK: Final = 1024
_BLOCK: Final = 65_536
_PLAIN_KINDS: Final = "biuf"
_NO_NUMBERS: Final = "mMc"
"""Times, time spans and complex numbers are not real numbers."""
_NOT_COMPARABLE: Final = (Exception,)
"""Objects run their own code to compare, hash and cast, which may raise anything."""


class Column(ABC):
    """One feature's values."""

    size: int
    """Number of rows, including those whose value is missing."""

    @abstractmethod
    def counts(self, limit: int | None) -> dict[str, int] | None:
        """Frequency of each distinct present value, as text and in order.

        None when there are ``limit`` or more distinct values, or values that cannot be hashed.
        """

    @abstractmethod
    def floats(self) -> NDArray[np.float64] | None:
        """The present values as float64, without NaN; None when they are not numbers."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A column and the name under which it is reported."""

    name: str
    column: Column


class NumberColumn(Column):
    """A one-dimensional array of bool, int or float."""

    def __init__(self, values: NDArray[Any]) -> None:
        import numpy as np

        values = np.ascontiguousarray(
            values
        )  # one pass over the strides of a row-major table instead of one for each statistic
        self.size = values.size
        if values.dtype.kind == "f":
            absent = np.isnan(values)
            values = values[~absent] if absent.any() else values
        self._present = values

    def counts(self, limit: int | None) -> dict[str, int] | None:
        """Count block by block: a column with many distinct values is given up after its first thousand."""
        import numpy as np

        found: Counter[Any] = Counter()
        start, width = 0, _FIRST_LOOK
        while start < self._present.size:
            distinct, times = np.unique(self._present[start : start + width], return_counts=True)
            if distinct.dtype in (np.float32, np.float16):  # 0.1 is "0.1", not what its nearest float64 shows
                distinct = distinct.astype(str).astype(np.float64)
            found.update(dict(zip(distinct.tolist(), times.tolist(), strict=True)))
            if limit is not None and len(found) >= limit:
                return None
            start, width = start + width, _BLOCK
        return by_text(found.items())

    def floats(self) -> NDArray[np.float64]:
        """The values; the array itself when it is float64."""
        import numpy as np

        return self._present.astype(np.float64, copy=False)


class ObjectColumn(Column):
    """An array of anything else: texts, bytes, times, Python objects."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.size = values.size
        self._kind = values.dtype.kind
        elements = values if self._kind in {"M", "m"} else values.tolist()
        self._present = [element for element in elements if not _is_missing(element)]

    def counts(self, limit: int | None) -> dict[str, int] | None:
        """Count block by block."""
        found = Categories()
        try:
            for start in range(0, len(self._present), _BLOCK):
                found.count(self._present[start : start + _BLOCK])
                if limit is not None and len(found) >= limit:
                    return None
        except _NOT_COMPARABLE:
            return None
        return found.ordered()

    def floats(self) -> NDArray[np.float64] | None:
        """The values cast one by one; texts only if all of them are written as numbers."""
        import numpy as np

        present = self._present
        if self._kind in _NO_NUMBERS or not all(map(may_be_number, present)):
            return None
        return _cast(lambda: np.fromiter(map(float, present), np.float64, len(present)))


class SeriesColumn(Column):
    """A pandas column of an extension type or of objects."""

    def __init__(self, series: pd.Series[Any]) -> None:
        self.size = len(series)
        self._present = series.dropna()

    def counts(self, limit: int | None) -> dict[str, int] | None:
        """Count all, unless the first thousand already have too many distinct values."""
        try:
            if limit is not None and self._present.iloc[:_FIRST_LOOK].nunique() >= limit:
                return None
            found = self._present.value_counts(sort=False)
        except _NOT_COMPARABLE:
            return None
        pairs = [(value, int(times)) for value, times in found.items() if times]
        return None if limit is not None and len(pairs) >= limit else by_text(pairs)

    def floats(self) -> NDArray[np.float64] | None:
        """The values cast by pandas; texts, categories and the like are cast as objects are."""
        import numpy as np

        kind = getattr(self._present.dtype, "kind", "")
        if kind in _NO_NUMBERS:
            return None
        if kind == "O":
            return ObjectColumn(self._present.astype(object).to_numpy()).floats()
        return _cast(lambda: np.asarray(self._present.astype("float64"), dtype=np.float64))


def features(data: object) -> Iterator[Feature]:
    """The columns of a DataFrame by their names, those of an array as c0, c1, …; a one-dimensional array is one column.

    Raises ``MLOpsException`` for anything else, and for two columns of one name. pandas is not imported: a caller who
    passes a frame has imported it.
    """
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if pandas is not None and isinstance(data, pandas.Series):
        data = data.to_frame("c0" if data.name is None else data.name)
    if pandas is not None and isinstance(data, pandas.DataFrame):
        names = [shown(name, "a column name") for name in data.columns]
        distinct(names, "the column")
        return (Feature(name, _series_column(data.iloc[:, index])) for index, name in enumerate(names))
    if numpy is not None and isinstance(data, numpy.ndarray):
        if data.ndim not in {1, 2} or data.dtype.names is not None:
            raise MLOpsException(
                f"a data distribution takes 1 or 2 dimensions, got an array of shape {data.shape}"
            )
        table = data.reshape(-1, 1) if data.ndim == 1 else data
        return (Feature(f"c{index}", array_column(table[:, index])) for index in range(table.shape[1]))
    raise MLOpsException(
        f"a data distribution takes a numpy array or a pandas DataFrame, got {type_name(data)}"
    )


def array_column(values: NDArray[Any]) -> Column:
    """The column for a one-dimensional array; masked values are missing."""
    import numpy as np

    if isinstance(values, np.ma.MaskedArray):
        column = array_column(values.compressed())
        column.size = values.size
        return column
    return NumberColumn(values) if values.dtype.kind in _PLAIN_KINDS else ObjectColumn(values)


def _series_column(series: pd.Series[Any]) -> Column:
    import numpy as np

    plain = isinstance(series.dtype, np.dtype) and series.dtype.kind not in "mM"
    return array_column(series.to_numpy()) if plain else SeriesColumn(series)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - true of NaN and NaT alone
    except _NOT_COMPARABLE:
        return False


def _cast(to_float: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64] | None:
    import numpy as np

    try:
        values = to_float()
    except _NOT_COMPARABLE:
        return None
    absent = np.isnan(values)
    return values[~absent] if absent.any() else values
