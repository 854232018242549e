"""SQL to DataFrames: the one place where queries meet the driver and pandas."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from parallelm.connections.clickhouse_pool import lent_client
from parallelm.schemas.times import Time, TimeError, range_ms
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._known_at import arrival_filters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.warehouse.queries._keyset import Keyset

OneOrMore = str | Collection[str]
"""A value that a column must have, or several of which it must have one."""
_MAX_LIMIT = 2**63 - 1
_WILDCARD = re.compile(r"[%_\\]")


class Conditions:
    """A WHERE clause that grows with the filters that were given; ``None`` means no filter."""

    def __init__(self) -> None:
        self._clauses: list[str] = []
        self.parameters: dict[str, Any] = {}

    def equal(self, **filters: OneOrMore | bool | int | None) -> Conditions:
        """Select rows whose columns have these values, or one of several."""
        for column, value in filters.items():
            if value is None:
                continue
            if isinstance(value, Collection) and not isinstance(value, str):
                self._clauses.append(f"{column} IN %({column})s" if value else "0")
                self.parameters[column] = tuple(sorted(value))
            else:
                self._clauses.append(f"{column} = %({column})s")
                self.parameters[column] = value
        return self

    def containing(self, text: str | None, *columns: str) -> Conditions:
        """Select rows of which some column has the text in it, in whatever case."""
        if text:
            found = (f"positionCaseInsensitiveUTF8({column}, %(containing)s) > 0" for column in columns)
            self._clauses.append(f"({' OR '.join(found)})")
            self.parameters["containing"] = text
        return self

    def like(self, expression: str, text: str | None) -> Conditions:
        """Select rows of which an expression has the text in it: by LIKE, for which an index on the expression is used."""
        if text:
            self._clauses.append(f"{expression} LIKE %(like)s")
            escaped = _WILDCARD.sub(r"\\\g<0>", text)
            self.parameters["like"] = f"%{escaped}%"
        return self

    def starting(self, column: str, beginning: str | None) -> Conditions:
        """Select rows whose column begins so."""
        if beginning is not None:
            self._clauses.append(f"startsWith({column}, %({column})s)")
            self.parameters[column] = beginning
        return self

    def between(self, column: str, start: Time | None, end: Time | None) -> Conditions:
        """Select rows in the range that ``parallelm.schemas.times.range_ms`` makes of start and end."""
        try:
            first_ms, last_ms = range_ms(start, end)
        except TimeError as error:
            raise QueryError(str(error)) from None
        for name, sign, bound_ms in (("start", ">=", first_ms), ("end", "<", last_ms)):
            if bound_ms is not None:
                self._clauses.append(f"{column} {sign} fromUnixTimestamp64Milli(toInt64(%({name})s), 'UTC')")
                self.parameters[name] = bound_ms
        return self

    def known(self, column: str, at: Time | None) -> Conditions:
        """Select rows that had arrived at a moment, its millisecond included; None: all."""
        if at is not None:
            try:
                at_ms, _ = range_ms(at, None)
            except TimeError as error:
                raise QueryError(str(error)) from None
            self._clauses.append(f"{column} <= fromUnixTimestamp64Milli(toInt64(%(known_at)s), 'UTC')")
            self.parameters["known_at"] = int(at_ms or 0)
        return self

    def labels(self, wanted: Mapping[str, str] | None, column: str = "labels") -> Conditions:
        """Select rows that have these labels, among any others; raises ``QueryError`` for what is not text."""
        for number, (key, value) in enumerate((wanted or {}).items()):
            if not (isinstance(key, str) and isinstance(value, str)):
                raise QueryError(f"label {key!r} with value {value!r}: labels and their values are text")
            # A map returns an empty text for a key that it does not have.
            self._clauses.append(f"mapContains({column}, %(label_key_{number})s)")
            self._clauses.append(f"{column}[%(label_key_{number})s] = %(label_value_{number})s")
            self.parameters |= {f"label_key_{number}": key, f"label_value_{number}": value}
        return self

    def without_labels(self, keys: Collection[str], column: str = "labels") -> Conditions:
        """Select rows that have none of these labels."""
        for number, key in enumerate(keys):
            self._clauses.append(f"NOT mapContains({column}, %(no_label_{number})s)")
            self.parameters[f"no_label_{number}"] = key
        return self

    def written(self, clause: str) -> Conditions:
        """Select rows by a clause that is written out; its parameters are the caller's."""
        self._clauses.append(clause)
        return self

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(self._clauses)}" if self._clauses else ""


def limit_clause(limit: int | None) -> str:
    """LIMIT of a query, empty for None; raises ``QueryError`` for anything but a whole number from 0."""
    if limit is None:
        return ""
    # ClickHouse counts a negative limit from the other end.
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit <= _MAX_LIMIT:
        raise QueryError(f"the limit is {limit!r}; it must be a whole number, 0 or more")
    return f"LIMIT {limit}"


def fetch(
    settings: Settings,
    query: str,
    parameters: Mapping[str, Any] | None = None,
    limits: Mapping[str, str | int] | None = None,
) -> tuple[list[Sequence[Any]], list[tuple[str, str]]]:
    """``(columns of values, (name, ClickHouse type) of each)``; raises the driver's errors."""
    own = {**arrival_filters(settings), **(limits or {})}
    with lent_client(settings.clickhouse) as client:
        # Without parameters the driver leaves percent signs alone: an analyst's LIKE and % need no doubling.
        columns, types = client.execute(
            query, parameters or None, with_column_types=True, columnar=True, settings=own or None
        )
    return columns or [()] * len(types), types


def records(settings: Settings, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows as dicts, for callers that work without pandas; raises the driver's errors."""
    columns, types = fetch(settings, query, parameters)
    names = [name for name, _ in types]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def query_frame(
    settings: Settings, query: str, limits: Mapping[str, str | int] | None = None
) -> pd.DataFrame:
    """Result of any SQL as a frame: what an analyst asks in a notebook. Times are UTC; raises the driver's errors.

    ``limits`` are settings of ClickHouse for it. Raises ``QueryError`` for an expression without a statement.
    """
    columns, types = fetch(settings, query, limits=limits)
    if len(columns) != len(types):  # an expression alone, which some servers answer without saying what it is
        raise QueryError(f"{query!r} is no statement; write SELECT before it")
    return _as_frame(columns, types)


def frame(
    settings: Settings, query: str, parameters: Mapping[str, Any] | None = None, page: Keyset | None = None
) -> pd.DataFrame:
    """Result, or a page of it, as a frame; times are UTC ``datetime64``, an empty result keeps its columns and their types."""
    if page is not None:
        query, of_page = page.of(query)
        parameters = {**(parameters or {}), **of_page}
    return _as_frame(*fetch(settings, query, parameters))


def _as_frame(columns: list[Sequence[Any]], types: list[tuple[str, str]]) -> pd.DataFrame:
    import pandas as pd

    # By number: a query may give two columns one name.
    series = {
        number: _series(values, kind)
        for number, (values, (_, kind)) in enumerate(zip(columns, types, strict=True))
    }
    return pd.DataFrame(series, columns=range(len(types))).set_axis([name for name, _ in types], axis=1)


def time_column(values: Iterable[datetime | None], unit: Literal["ms", "us"] = "ms") -> pd.Series[Any]:
    """Times as a column of type ``datetime64[ms, UTC]``, which every version of pandas holds for any year.

    By way of numpy: pandas before 3 reads times of Python as nanoseconds, which end in 2262.
    """
    import numpy as np
    import pandas as pd

    plain = [
        value if value is None or value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        for value in values
    ]
    moments: pd.Series[Any] = pd.Series(np.array(plain, dtype=f"datetime64[{unit}]")).dt.tz_localize("UTC")
    return moments


def _series(values: Sequence[Any], kind: str) -> pd.Series[Any]:
    import pandas as pd

    if kind.startswith(("DateTime", "Nullable(DateTime")):
        # The driver rounds nanoseconds to microseconds.
        return time_column(values, "us" if _FINE_TIME.match(kind) else "ms")
    if kind.startswith("Float"):
        return pd.Series(values, dtype="float64")
    if kind.startswith(("Int", "UInt")):
        return pd.Series(values, dtype=kind.lower() if kind.lower() in _INTEGERS else "object")
    if kind == "Bool":
        return pd.Series(values, dtype="bool")
    return pd.Series(values, dtype="object")


_FINE_TIME = re.compile(r"(Nullable\()?DateTime64\([4-9]")
_INTEGERS = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
