"""Data Science View of an MLApp: its nodes, and every statistic that they report, drawn by its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from parallelm.schemas.well_known import RUN_STATISTICS
from parallelm.server.access.dependencies import require
from parallelm.server.charts.lines import Window
from parallelm.server.charts.nodes import Node, place_nodes
from parallelm.server.charts.statistics import HTML_KIND, TREE_KINDS
from parallelm.server.pages import Page
from parallelm.server.pages._mentioned import require_mentioned
from parallelm.server.pages._window import address, window_of, window_query
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import Shown, known_settings
from parallelm.warehouse.queries import ReportedStatistic

ROUTER: Final = APIRouter(dependencies=[Depends(require("mlapps.read"))])
PAGE: Final = Page("Statistics", "/statistics", "mlapps.read", place=30, of_mlapp=True)
_CARDS: Final = 24
_EVENTS: Final = 50
_MODELS: Final = 200
_LAST: Final = (
    "drift.", "continuousDataHistogram", "categoricalDataHistogram", "dataheatmap", RUN_STATISTICS,
)  # fmt: skip
"""Beginnings of names that the Health View and the page of runs are about."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which statistics are shown, and beside what."""

    node: str = ""
    agent: str = ""
    model: str = ""
    search: str = ""
    with_model: str = ""
    with_from: str = ""
    with_to: str = ""

    @property
    def is_comparison(self) -> bool:
        """Whether something is drawn beside."""
        return bool(self.with_model or self.with_from)


def choice(
    node: str = "",
    agent: str = "",
    model: str = "",
    search: Annotated[str, Query(max_length=200)] = "",
    with_model: str = "",
    with_from: str = "",
    with_to: str = "",
) -> Choice:
    """Of a request."""
    return Choice(node, agent, model, search, with_model, with_from, with_to)


Chosen = Annotated[Choice, Depends(choice)]


@dataclass(frozen=True, slots=True)
class Card:
    """One statistic on the page."""

    title: str
    note: str
    kind: str
    url: str
    compared_url: str = ""
    """Of a second chart, where both do not fit into one."""


@ROUTER.get("/mlapps/{mlapp_id}/statistics")
def statistics(
    request: Request,
    mlapp_id: str,
    shown: Shown,
    chosen: Chosen,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> HTMLResponse:
    """The page."""
    from parallelm.warehouse.queries import current_mlapp, reported_statistics

    settings = known_settings(request)
    definition = current_mlapp(settings, mlapp_id)
    everything = reported_statistics(settings, mlapp_id)
    if definition is None and not everything:
        require_mentioned(settings, mlapp_id)
    models = latest_models(request, mlapp_id)
    window = window_query(window_of(request, mlapp_id, shown), shown)
    found = sorted(_selected(everything, chosen), key=_place)
    # Components may report of the past; what agents report of their runs is of today.
    of_runs = window_query(Window(shown.start_ms, shown.end_ms), shown)
    cards = [
        card
        for each in found
        for card in _cards(
            request, mlapp_id, each, chosen, of_runs if each.name.startswith(RUN_STATISTICS) else window
        )
    ]
    first = (page - 1) * _CARDS
    return render(
        request,
        "statistics.html",
        {
            "mlapp_id": mlapp_id,
            "shown": shown,
            "chosen": chosen,
            "window": window,
            "definition": definition,
            "nodes": sorted({each.node_id for each in everything} | set(_defined(definition))),
            "agents": sorted({agent for each in everything for agent in each.agents}),
            "models": models,
            "cards": cards[first : first + _CARDS],
            "card_count": len(cards),
            "first": first,
            "has_reports": bool(everything),
            "previous": _page(request, page - 1) if page > 1 else "",
            "next": _page(request, page + 1) if len(cards) > first + _CARDS else "",
            "kpis": _kpis(request, mlapp_id, window),
            "events": events_of(request, mlapp_id, shown, _EVENTS),
            "graph": place_nodes(_nodes(request, mlapp_id, definition, everything)),
        },
    )


def _nodes(
    request: Request,
    mlapp_id: str,
    definition: Mapping[str, Any] | None,
    everything: Sequence[ReportedStatistic],
) -> list[Node]:
    """Those of the definition, or else those that have reported, with what is live on them."""
    from parallelm.warehouse.queries import live_models

    live = live_models(known_settings(request), mlapp_id=mlapp_id)
    names = zip(live["node_id"], live["model_name"], live["model_id"], strict=True)
    now = {str(node): f"live: {name or model_id[:8]}" for node, name, model_id in names}

    def node(node_id: str, title: str, kind: str, parents: Sequence[str], consumes: Sequence[str]) -> Node:
        link = address(request, "mlapps", mlapp_id, "statistics", node=node_id)
        note = now.get(node_id, kind.replace("_", " "))
        return Node(node_id, title or node_id, note, parents, consumes, link)

    if definition is None:
        reporting = dict.fromkeys(each.node_id for each in everything if each.node_id)
        return [node(each, "", "reports without a definition", (), ()) for each in reporting]
    columns = (definition[f"nodes.{each}"] for each in ("node_id", "name", "type", "parents", "consumes"))
    return [node(*row) for row in zip(*columns, strict=True)]


def _selected(everything: Sequence[ReportedStatistic], chosen: Choice) -> Iterator[ReportedStatistic]:
    for each in everything:
        fits = chosen.node in {"", each.node_id} and chosen.search.casefold() in each.name.casefold()
        of_agent = not chosen.agent or chosen.agent in each.agents
        of_model = not chosen.model or not each.models or chosen.model in each.models
        if fits and of_agent and of_model:
            yield each


def _place(each: ReportedStatistic) -> tuple[bool, str, str]:
    return each.name.startswith(_LAST), each.node_id, each.name


def _cards(
    request: Request, mlapp_id: str, each: ReportedStatistic, chosen: Choice, window: Mapping[str, str]
) -> Iterator[Card]:
    """One a statistic, or one a feature of a set of histograms."""
    model = chosen.model if chosen.model in each.models else ""
    asked = {"name": each.name, "node": each.node_id, "agent": chosen.agent, "model": model, **window}
    note = f"node {each.node_id}" if each.node_id else "no node"
    beside = {"with_model": chosen.with_model, "with_from": chosen.with_from, "with_to": chosen.with_to}
    if each.kind == "LINEGRAPH":
        url = address(request, "charts", mlapp_id, "numbers.json", **asked, **beside)
        yield Card(each.name, note, "chart", url)
    elif each.kind in TREE_KINDS or each.kind == HTML_KIND:
        parts = "page" if each.kind == HTML_KIND else "tree"
        yield Card(each.name, note, parts, address(request, "mlapps", mlapp_id, "statistics", parts, **asked))
    elif each.features:
        for feature in each.features:
            url = address(request, "charts", mlapp_id, "report.json", **asked, **beside, feature=feature)
            yield Card(f"{each.name}: {feature}", note, "chart", url)
    else:
        url = address(request, "charts", mlapp_id, "report.json", **asked)
        compared = _beside(asked, chosen)
        other = address(request, "charts", mlapp_id, "report.json", **compared) if compared else ""
        yield Card(each.name, note, "chart", url, other)


def _beside(asked: Mapping[str, str], chosen: Choice) -> dict[str, str]:
    """What the second of two charts asks for."""
    if chosen.with_model:
        return {**asked, "model": chosen.with_model} if asked["model"] else {}
    if chosen.with_from:
        return {**asked, "from": chosen.with_from, "to": chosen.with_to}
    return {}


def latest_models(request: Request, mlapp_id: str) -> dict[str, str]:
    """Names of the latest models by their id, the latest first."""
    from parallelm.warehouse.queries import Keyset, models

    page = Keyset(order=("event_time", "model_id"), descending=True, limit=_MODELS)
    found = models(known_settings(request), mlapp_id=mlapp_id, page=page)
    names = zip(found["model_id"], found["name"], strict=True)
    return {str(model_id): str(name) if name else str(model_id)[:8] for model_id, name in names}


def events_of(request: Request, mlapp_id: str, shown: Shown, most: int) -> list[dict[str, Any]]:
    """The latest events of the time shown."""
    from parallelm.warehouse.queries import Keyset, events

    page = Keyset(order=("event_time", "event_id"), descending=True, limit=most)
    found = events(known_settings(request), mlapp_id=mlapp_id, start=shown.start, end=shown.end, page=page)
    return [{str(key): value for key, value in row.items()} for row in found.to_dict("records")]


def _kpis(request: Request, mlapp_id: str, window: Mapping[str, str]) -> list[tuple[str, str]]:
    from parallelm.warehouse.queries import kpi_names

    return [
        (name, address(request, "charts", mlapp_id, "kpi.json", name=name, **window))
        for name in kpi_names(known_settings(request), mlapp_id)
    ]


def _defined(definition: Mapping[str, Any] | None) -> Sequence[str]:
    return definition["nodes.node_id"] if definition else []


def _page(request: Request, number: int) -> str:
    return "?" + str(request.url.include_query_params(page=number).query)
