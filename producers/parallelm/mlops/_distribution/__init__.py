"""Histograms, similarity scores, drift, heat map and analysis tables of a set of features: ``distribution_reports``."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

from parallelm.mlops._distribution.analysis import (
    CATEGORICAL_COLUMNS,
    CONTINUOUS_COLUMNS,
    categorical_row,
    continuous_row,
    heat,
)
from parallelm.mlops._distribution.columns import features
from parallelm.mlops._distribution.drift import drift
from parallelm.mlops._distribution.drift_reports import drift_reports
from parallelm.mlops._distribution.histograms import (
    Numbers,
    categorical_histogram,
    continuous_edges,
    continuous_histogram,
)
from parallelm.mlops._distribution.similarity import similarity_score
from parallelm.mlops.stats._statistic import json_report
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.table import Table
from parallelm.mlops.stats_category import StatGraphType, StatsMode
from parallelm.schemas import well_known as names
from parallelm.schemas.records import HistogramKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from parallelm.mlops._distribution.columns import Feature
    from parallelm.mlops._distribution.drift import Drift
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
    from parallelm.schemas.records import Histogram

CATEGORIES_LIMIT: Final = 25
"""A feature with fewer distinct values than this is categorical."""
PORTION_CHARACTERS: Final = 400_000
"""Limit of a report in Python's notation. As JSON and as typed bins it takes about twice that: below a record's 1 MB."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kind:
    """The reports on all features of one kind."""

    histograms: list[Histogram] = field(default_factory=list)
    rows: list[tuple[str, list[object]]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)


class _Distribution:
    """Processes the features one by one, so that it needs the memory of one column only."""

    def __init__(self, training: Iterable[Histogram]) -> None:
        self._training = {histogram.feature: histogram for histogram in training}
        self.continuous = _Kind()
        self.categorical = _Kind()
        self.heat: dict[str, float] = {}
        self.drifts: dict[str, Drift] = {}
        self.seen: set[str] = set()
        self.dropped: list[str] = []

    def add(self, feature: Feature) -> None:
        self.seen.add(feature.name)
        if not self._training:
            added = self._add_categorical(feature, None) or self._add_continuous(feature, None)
        elif (trained := self._training.get(feature.name)) is None:
            return
        elif trained.kind == HistogramKind.CATEGORICAL:
            added = self._add_categorical(feature, trained)
        else:
            added = self._add_continuous(feature, trained)
        if not added:
            self.dropped.append(feature.name)

    def _add_categorical(self, feature: Feature, trained: Histogram | None) -> bool:
        counts = feature.column.counts(None if trained else CATEGORIES_LIMIT)
        if counts is None:
            return False
        if not (counts or trained):  # nothing to plot, but the table shows that all values are missing
            self.categorical.rows.append((feature.name, categorical_row(feature.column, counts)))
            return True
        categories = tuple(trained.categories) if trained else tuple(counts)
        histogram = categorical_histogram(feature.name, counts, categories, feature.column.size)
        self._keep(self.categorical, histogram, categorical_row(feature.column, counts), trained)
        return True

    def _add_continuous(self, feature: Feature, trained: Histogram | None) -> bool:
        values = feature.column.floats()
        if values is None or not (values.size or trained):
            return False
        numbers = Numbers(values)
        edges = tuple(trained.edges) if trained else continuous_edges(numbers)
        histogram = continuous_histogram(feature.name, values, edges, feature.column.size)
        self._keep(self.continuous, histogram, continuous_row(feature.column, numbers), trained)
        warmth = heat(numbers) if trained else None
        if warmth is not None:
            self.heat[feature.name] = warmth
        return True

    def _keep(self, kind: _Kind, histogram: Histogram, row: list[object], trained: Histogram | None) -> None:
        kind.histograms.append(histogram)
        kind.rows.append((histogram.feature, row))
        if trained:
            score = similarity_score(trained.weights, histogram.weights)
            kind.scores[f"{names.OVERLAP_LABEL_PREFIX}{histogram.feature}"] = score
            found = drift(trained, histogram)
            if found:
                self.drifts[histogram.feature] = found

    def say_what_is_left_out(self) -> None:
        if self.dropped:
            _log.warning(
                "left out of the data distribution, neither categories nor numbers: %s", _listed(self.dropped)
            )
        absent = [feature for feature in self._training if feature not in self.seen]
        if absent:
            _log.warning("the model was trained on features that these data lack: %s", _listed(absent))

    def reports(self) -> list[NumericReport | StructuredReport]:
        return [
            *_bars(names.CONTINUOUS_HISTOGRAM, self.continuous),
            *_bars(names.CATEGORICAL_HISTOGRAM, self.categorical),
            *_tables(names.CONTINUOUS_ANALYSIS, CONTINUOUS_COLUMNS, self.continuous),
            *_tables(names.CATEGORICAL_ANALYSIS, CATEGORICAL_COLUMNS, self.categorical),
            *self._heat_map(),
            *_lines(names.CONTINUOUS_OVERLAP, self.continuous),
            *_lines(names.CATEGORICAL_OVERLAP, self.categorical),
            *drift_reports(self.drifts),
        ]

    def _heat_map(self) -> Iterator[StructuredReport]:
        if self.heat:
            report = json_report(names.HEAT_MAP, StatGraphType.HEATMAP, self.heat)
            yield replace(report, mode=str(StatsMode.TimeSeries))


def distribution_reports(
    data: object, training_histograms: Sequence[Histogram] | None = None
) -> list[NumericReport | StructuredReport]:
    """All reports on the distribution of ``data``, a numpy array or a pandas DataFrame.

    With the histograms that the current model was trained on, their features, kinds and bins are used, and heat map,
    similarity scores and the measures of ``drift`` are added. A feature that is neither categorical nor castable to float
    is left out with a warning; one without any value has a row in the categorical analysis, and no histogram. No rows
    give no reports. Raises ``MLOpsException`` for other types of data, and for two columns of one name.
    """
    distribution = _Distribution(training_histograms or ())
    rows = 0
    for feature in features(data):
        rows = feature.column.size
        if not rows:
            break
        distribution.add(feature)
    if not rows:
        _log.warning("a data distribution of no rows or no columns is not reported")
        return []
    distribution.say_what_is_left_out()
    return distribution.reports()


def _listed(features: list[str]) -> str:
    shown = 10
    return ", ".join(map(repr, features[:shown])) + (
        f" and {len(features) - shown} more" if len(features) > shown else ""
    )


def _portions(elements: Iterable[T]) -> Iterator[list[T]]:
    """Split the elements into portions that fit in one record: for most data this is one portion."""
    portion: list[T] = []
    size = 0
    for element in elements:
        element_size = len(repr(element))
        if portion and size + element_size > PORTION_CHARACTERS:
            yield portion
            portion, size = [], 0
        portion.append(element)
        size += element_size
    if portion:
        yield portion


def _bars(name: str, kind: _Kind) -> Iterator[StructuredReport]:
    for histograms in _portions(kind.histograms):
        bars = {
            histogram.feature: [
                {bin_name: weight}
                for bin_name, weight in zip(_bins(histogram), histogram.weights, strict=True)
            ]
            for histogram in histograms
        }
        yield replace(json_report(name, StatGraphType.BARGRAPH, bars), histograms=tuple(histograms))


def _bins(histogram: Histogram) -> Sequence[str]:
    if histogram.kind == HistogramKind.CATEGORICAL:
        return histogram.categories
    return [f"{low} to {high}" for low, high in pairwise(histogram.edges)]


def _tables(name: str, columns: Sequence[str], kind: _Kind) -> Iterator[StructuredReport]:
    for rows in _portions(kind.rows):
        table = Table().name(name).cols(columns)
        for feature, row in rows:
            table.add_row(feature, row)
        yield table.report()


def _lines(name: str, kind: _Kind) -> Iterator[NumericReport]:
    if kind.scores:
        yield MultiLineGraph().name(name).labels(list(kind.scores)).data(list(kind.scores.values())).report()
