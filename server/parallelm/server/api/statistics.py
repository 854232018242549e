"""What components report: numbers as lines, tables and graphs as they are, and histograms of features."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request

from parallelm.server.access.dependencies import require
from parallelm.server.api._labels import AskedLabels, labels_of
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, Number, of_payload, rows
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.context import context_of

ROUTER: Final = resource("statistics")
_READS: Final = [Depends(require(READ))]


class Statistic(Answer):
    """A statistic that a node has reported."""

    name: str
    node_id: str
    samples: int
    first_time: Moment
    last_time: Moment


class StatisticLine(Answer):
    """One series; its lists are parallel and in the order of time."""

    name: str
    node_id: str
    agent_id: str
    model_id: str
    labels: dict[str, str]
    times_ms: list[int]
    """Starts of the buckets, in milliseconds since 1970."""
    means: list[Number]
    minima: list[Number]
    maxima: list[Number]
    samples: list[int]


class StatisticLines(Answer):
    """Series in buckets of one width."""

    lines: list[StatisticLine]
    start_ms: int | None
    """Of the window; null when nothing was reported."""
    end_ms: int | None
    width_ms: int
    left_out: int
    """Series that are too many for one answer: ask for a node, a model or a label."""


class StructuredStatistic(Answer):
    """A table, a graph, opaque data or another report that is no single number."""

    event_time: Moment
    name: str
    graph_type: str
    content_type: str
    data: Any
    """JSON as it is, text as text, bytes as `{"base64": …}`."""
    node_id: str
    agent_id: str
    model_id: str
    labels: dict[str, str]


class Histogram(Answer):
    """The distribution of one feature."""

    event_time: Moment
    name: str
    feature: str
    kind: str
    """`continuous`: there is one more edge than weights; `categorical`: one category a weight."""
    edges: list[Number]
    categories: list[str]
    weights: list[Number]
    row_count: int
    missing_count: int
    node_id: str
    model_id: str


@ROUTER.get("/mlapps/{mlapp_id}/statistics", dependencies=_READS)
def list_statistics(request: Request, mlapp_id: MLAppId, page: Paging) -> Page[Statistic]:
    """Statistics by name and node."""
    from parallelm.warehouse.queries import statistic_counts

    keyset = page.keyset("name", "node_id")
    found = statistic_counts(context_of(request).settings, mlapp_id=mlapp_id, page=keyset)
    return page.answer(Statistic, keyset, rows(found))


@ROUTER.get("/mlapps/{mlapp_id}/statistics/lines", dependencies=_READS)
def get_statistic_lines(
    request: Request,
    mlapp_id: MLAppId,
    name: Annotated[list[Name], Query(max_length=20, description="Statistic; repeated for several.")],
    node_id: Annotated[Name | None, Query()] = None,
    agent_id: Annotated[Name | None, Query()] = None,
    model_id: Annotated[Name | None, Query()] = None,
    label: AskedLabels = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
    points: Annotated[int, Query(ge=1, le=2000, description="Most buckets of a series.")] = 1000,
) -> StatisticLines:
    """Samples in buckets as wide as the window and the number of points ask for, with minimum and maximum of each."""
    from parallelm.warehouse.queries import statistic_lines

    found = statistic_lines(
        context_of(request).settings,
        tuple(name),
        mlapp_id=mlapp_id,
        node_id=node_id,
        agent_id=agent_id,
        model_id=model_id,
        labels=labels_of(label),
        start=from_,
        end=to,
        points=points,
    )
    return StatisticLines.model_validate(found)


@ROUTER.get("/mlapps/{mlapp_id}/structured-statistics", dependencies=_READS)
def list_structured_statistics(
    request: Request,
    mlapp_id: MLAppId,
    page: Paging,
    name: Annotated[Name | None, Query()] = None,
    node_id: Annotated[Name | None, Query()] = None,
    agent_id: Annotated[Name | None, Query()] = None,
    model_id: Annotated[Name | None, Query()] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
) -> Page[StructuredStatistic]:
    """Tables, graphs and other reports that are no single number, the latest first."""
    from parallelm.warehouse.queries import structured_statistics

    keyset = page.keyset("event_time", "_partition", "_offset", descending=True)
    found = structured_statistics(
        context_of(request).settings,
        name,
        mlapp_id=mlapp_id,
        node_id=node_id,
        agent_id=agent_id,
        model_id=model_id,
        start=from_,
        end=to,
        page=keyset,
    )
    return page.answer(StructuredStatistic, keyset, rows(found), of_payload)


@ROUTER.get("/mlapps/{mlapp_id}/histograms", dependencies=_READS)
def list_histograms(
    request: Request,
    mlapp_id: MLAppId,
    page: Paging,
    name: Annotated[Name | None, Query()] = None,
    node_id: Annotated[Name | None, Query()] = None,
    model_id: Annotated[Name | None, Query()] = None,
    feature: Annotated[Name | None, Query()] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
) -> Page[Histogram]:
    """Distributions of features, the latest first."""
    from parallelm.warehouse.queries import histograms

    keyset = page.keyset("event_time", "_partition", "_offset", "_index", descending=True)
    found = histograms(
        context_of(request).settings,
        name,
        mlapp_id=mlapp_id,
        node_id=node_id,
        model_id=model_id,
        feature=feature,
        start=from_,
        end=to,
        page=keyset,
    )
    return page.answer(Histogram, keyset, rows(found))
