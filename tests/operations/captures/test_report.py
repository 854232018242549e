"""The report as a pure function: whatever people and components wrote, it is one page without a script or a request."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.operations.captures.report import ReportFindings, report_html
from parallelm.operations.captures.report.charts import Axis, Point, line_chart
from parallelm.operations.captures.report.findings import merged_buckets, without_models
from parallelm.warehouse.queries.captures import CaptureRange

DAY_MS = 86_400_000
START_MS, END_MS = 1_370_044_800_000, 1_370_044_800_000 + 30 * DAY_MS
_TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "h1", "p", "nav", "a", "main", "h2", "ul", "li", "figure",
    "figcaption", "div", "svg", "polygon", "polyline", "circle", "line", "text", "rect", "table", "thead", "tbody", "tr", "th",
    "td", "pre",
}  # fmt: skip
_ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "id", "class", "href", "aria-label", "viewbox", "role", "points", "x",
    "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "text-anchor", "scope", "tabindex",
}  # fmt: skip


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS, tag
        for name, value in attrs:
            assert name in _ATTRIBUTES, name
            assert name != "href" or str(value).startswith("#"), value
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(html: str) -> None:
    """Its tags are ours, each is closed, and nothing leads out of it."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []


def moment(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def findings(text: str, **changes: Any) -> ReportFindings:
    """Something of everything, with this text wherever a text may be."""
    series = {
        "series": 1, "name": text, "node_id": text, "agent_id": text, "labels": {text: text}, "samples": 3, "total": 3.0,
        "mean": 1.0, "minimum": -math.inf if not text else 0.0, "maximum": 2.0, "last": math.nan,
    }  # fmt: skip
    bucket = {"series": 1, "bucket": 3, "mean": 1.0, "minimum": 0.5, "maximum": 2.0}
    deployment = {
        "node_id": text, "model_id": text, "model_name": text, "attempt": 1, "state": "rolled_back",
        "live_from": moment(START_MS - DAY_MS), "live_to": None, "decided_reason": text, "ended_reason": text,
        "decided_by": text,
    }  # fmt: skip
    alert = {
        "rule": text, "severity": text, "node_id": text, "fired_at": moment(START_MS), "resolved_at": None,
        "fired_reason": text, "resolved_reason": text,
    }  # fmt: skip
    event = {
        "event_time": moment(START_MS), "type": text, "title": text, "description": text, "node_id": text,
        "agent_id": text, "is_alert": True,
    }  # fmt: skip
    action = {
        "event_time": moment(START_MS), "who": text, "action": text, "node_id": text, "model_id": text, "target": text,
        "comment": text,
    }  # fmt: skip
    model = {"name": text, "model_id": text, "event_time": moment(START_MS), "node_id": text, "format": text}
    nodes = ("node_id", "name", "type", "mode", "schedule", "pipeline")
    definition = {
        "name": text, "version": 1, "event_time": moment(START_MS), "applied_by": text, "model_policy": text,
        "source_yaml": text, **{f"nodes.{name}": [text] for name in nodes}, "nodes.parents": [[text]],
    }  # fmt: skip
    values: dict[str, Any] = {
        "name": text,
        "chosen": CaptureRange(mlapp_id=text, start_ms=START_MS, end_ms=END_MS, known_at_ms=END_MS),
        "created_by": text,
        "width_ms": DAY_MS,
        "definitions": [definition],
        "series": [series],
        "samples": {1: [bucket]},
        "structured": [
            {
                "name": text,
                "node_id": text,
                "graph_type": text,
                "reports": 1,
                "first": moment(0),
                "last": moment(0),
            }
        ],
        "kpis": [bucket | {"name": text, "labels": {text: text}, "points": 1}],
        "revisions": [{"name": text, "rows": 2, "withdrawn": 1}],
        "deployments": [deployment],
        "alerts": [alert],
        "events": ([event], 501),
        "actions": ([action], 1),
        "models": ([model], 1),
    }
    return ReportFindings(**values | changes)


@given(
    text=st.text(max_size=30)
    | st.sampled_from(["</title><script>x()</script>", '"><img src=x onerror=y>', "$title", "</svg>"])
)
def test_no_text_becomes_markup(text: str):
    html = report_html(findings(text))
    check(html)
    assert "and 500 more, which are in the tables of this capture." in html


@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=6),
    gaps=st.lists(st.integers(1, 9), min_size=6, max_size=6),
)
def test_every_point_is_drawn_within_its_chart(values: list[float], gaps: list[int]):
    places = [sum(gaps[:number]) for number in range(len(values))]
    points = [
        Point(START_MS + place * DAY_MS / 2, value, value, value)
        for place, value in zip(places, values, strict=True)
    ]
    chart = line_chart(Axis(START_MS, END_MS), points, "t", DAY_MS / 2)
    check(chart)
    drawn = [
        tuple(map(float, pair.split(",")))
        for part in chart.split('class="line" points="')[1:]
        for pair in part.partition('"')[0].split()
    ]
    assert len(drawn) == len(values)
    assert all(0 <= x <= 960 and 0 <= y <= 150 for x, y in drawn)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alerts": []}, "No alert was open."),
        ({"kpis": [], "revisions": []}, "No KPI has points in this time."),
        ({"deployments": []}, "No model was deployed in this time."),
        ({"definitions": []}, "The MLApp has no definition: its components report without one."),
        ({"series": [], "samples": {}}, "0 samples of 0 series came from 0 nodes on 0 hosts."),
        ({"events": ([], 0), "actions": ([], 0)}, "Components reported 0 events; nobody acted."),
        ({"models": ([], 0)}, "No model was announced in this time."),
        ({}, "Model a on node a was rolled back: a."),
        ({}, "On node a were live: a from before the range began."),
    ],
)
def test_what_there_is_and_what_there_is_not_is_said(changes: dict[str, Any], said: str):
    html = report_html(findings("a", **changes))
    check(html)
    assert said in html


def test_more_than_a_page_shows_is_counted():
    one = findings("a")
    many = findings(
        "a",
        alerts=list(one.alerts) * 700,
        deployments=list(one.deployments) * 600,
        series=list(one.series) * 501,
    )
    html = report_html(many)
    check(html)
    for said in ("and 200 more, which", "and 100 more, which", "and 1 more, which"):
        assert said in html


def test_a_series_is_one_whatever_model_it_is_about():
    one = {"series": 1, "name": "s", "node_id": "n", "agent_id": "h", "labels": {}, "samples": 1, "total": 1.0, "mean": 1.0,
           "minimum": 1.0, "maximum": 1.0, "last": 1.0, "last_ms": 5}  # fmt: skip
    other = one | {
        "series": 2,
        "samples": 3,
        "total": 15.0,
        "mean": 5.0,
        "minimum": 0.0,
        "maximum": 9.0,
        "last": 7.0,
        "last_ms": 4,
    }
    empty = one | {
        "series": 3,
        "samples": 2,
        "mean": math.nan,
        "minimum": math.nan,
        "maximum": math.nan,
        "last": math.nan,
    }
    apart = one | {"series": 4, "labels": {"a": "b"}}
    together, of_all = without_models([one, other, empty, apart])
    assert of_all == {1: 1, 2: 1, 3: 1, 4: 4}
    assert together[0] == one | {"samples": 6, "total": 17.0, "mean": 4.0, "minimum": 0.0, "maximum": 9.0}
    assert together[1] == apart
    buckets = [
        {"series": 1, "bucket": 7, "n": 1, "mean": 1.0, "minimum": 1.0, "maximum": 1.0},
        {"series": 2, "bucket": 7, "n": 3, "mean": 5.0, "minimum": 0.0, "maximum": 9.0},
        {"series": 2, "bucket": 2, "n": 1, "mean": 2.0, "minimum": 2.0, "maximum": 2.0},
    ]
    (rows,) = merged_buckets(buckets, of_all).values()
    assert [(row["bucket"], row["n"], row["mean"], row["minimum"], row["maximum"]) for row in rows] == [
        (2, 1, 2.0, 2.0, 2.0),
        (7, 4, 4.0, 0.0, 9.0),
    ]
