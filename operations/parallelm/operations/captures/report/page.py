"""The page: its parts are put into a template of the standard library, and every text is escaped."""

from __future__ import annotations

from datetime import datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from parallelm.operations.captures.report.charts import (
    Axis,
    Band,
    Point,
    band_chart,
    line_chart,
    number_text,
    time_text,
)
from parallelm.operations.captures.report.words import label_text, model_text, moment_ms, sentences
from parallelm.operations.json_values import scalar_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from parallelm.operations.captures.report.findings import ReportFindings, Row

_SHOWN_ROWS = 500
_ALERT_STYLES = {"critical": "critical", "warning": "warning"}


def report_html(findings: ReportFindings) -> str:
    """The whole file."""
    chosen = findings.chosen
    title = f"{_title(findings)}: {time_text(chosen.start_ms)} to {time_text(chosen.end_ms)} UTC"
    template = (
        files("parallelm.operations.captures.report").joinpath("report.html").read_text(encoding="utf-8")
    )
    axis = Axis(chosen.start_ms, chosen.end_ms)
    parts = {
        "title": escape(title),
        "heading": escape(_title(findings)),
        "subtitle": escape(
            f"{time_text(chosen.start_ms)} to {time_text(chosen.end_ms)} UTC. Capture {findings.name!r}, taken by "
            f"{findings.created_by} as of {time_text(chosen.known_at_ms)} UTC. MLApp {chosen.mlapp_id}."
        ),
        "words": "".join(f"<li>{escape(each)}</li>" for each in sentences(findings)),
        "kpis": _kpis(findings, axis),
        "models": _models(findings, axis),
        "alerts": _alerts(findings, axis),
        "deployments": _deployments(findings),
        "statistics": _statistics(findings, axis),
        "events": _events(findings),
        "people": _people(findings),
        "definition": _definition(findings),
    }
    return Template(template).substitute(parts)


def _title(findings: ReportFindings) -> str:
    return str(findings.definitions[-1]["name"]) if findings.definitions else findings.chosen.mlapp_id


def _kpis(findings: ReportFindings, axis: Axis) -> str:
    by_series: dict[str, list[Row]] = {}
    for row in findings.kpis:
        labels = label_text(row["labels"])
        by_series.setdefault(f"{row['name']} ({labels})" if labels else row["name"], []).append(row)
    drawn = "".join(_figure(axis, name, rows, findings.width_ms) for name, rows in by_series.items())
    return drawn + _table(
        {"name": "KPI", "rows": "points and revisions", "withdrawn": "of them withdrawals"},
        findings.revisions,
        len(findings.revisions),
        "No KPI has points in this time.",
    )


def _models(findings: ReportFindings, axis: Axis) -> str:
    live = [row for row in findings.deployments if row["live_from"] is not None]
    colours = {
        model_id: number % 4 for number, model_id in enumerate(dict.fromkeys(row["model_id"] for row in live))
    }
    bands = [
        Band(
            row["node_id"],
            model_text(row),
            moment_ms(row["live_from"]),
            moment_ms(row["live_to"]) if row["live_to"] is not None else axis.end_ms,
            f"model{colours[row['model_id']]}",
        )
        for row in live[-_SHOWN_ROWS:]
    ]
    chart = _scrolled(band_chart(axis, bands, "Models that were live, by node")) if bands else ""
    columns = {
        "name": "model",
        "model_id": "id",
        "event_time": "announced",
        "node_id": "node",
        "format": "format",
    }
    return chart + _table(columns, *findings.models, "No model was announced in this time.")


def _alerts(findings: ReportFindings, axis: Axis) -> str:
    bands = [
        Band(
            row["rule"],
            row["fired_reason"] or row["rule"],
            moment_ms(row["fired_at"]),
            moment_ms(row["resolved_at"]) if row["resolved_at"] is not None else axis.end_ms,
            _ALERT_STYLES.get(row["severity"], "info"),
        )
        for row in findings.alerts[:_SHOWN_ROWS]
    ]
    chart = _scrolled(band_chart(axis, bands, "Alerts that were open, by rule")) if bands else ""
    columns = {
        "rule": "rule",
        "severity": "severity",
        "node_id": "node",
        "fired_at": "fired",
        "resolved_at": "resolved",
        "fired_reason": "why",
        "resolved_reason": "why it ended",
    }
    return chart + _table(columns, findings.alerts, len(findings.alerts), "No alert was open in this time.")


def _deployments(findings: ReportFindings) -> str:
    rows = [row | {"model": model_text(row)} for row in findings.deployments]
    columns = {
        "node_id": "node",
        "model": "model",
        "attempt": "attempt",
        "state": "state",
        "live_from": "live from",
        "live_to": "live to",
        "decided_reason": "why",
        "ended_reason": "why it ended",
        "decided_by": "by",
    }
    return _table(columns, rows, len(rows), "No model was deployed in this time.")


def _statistics(findings: ReportFindings, axis: Axis) -> str:
    by_number = {row["series"]: row for row in findings.series}
    drawn = "".join(
        _figure(axis, _series_text(by_number[number]), rows, findings.width_ms)
        for number, rows in findings.samples.items()
        if rows
    )
    rows = [
        row
        | {"of": label_text(row["labels"])}
        | {
            name: number_text(row[name]) if row[name] == row[name] else ""
            for name in ("mean", "minimum", "maximum", "last")
        }
        for row in findings.series[:_SHOWN_ROWS]
    ]
    columns = {
        "name": "statistic",
        "node_id": "node",
        "of": "labels",
        "agent_id": "host",
        "samples": "samples",
        "mean": "mean",
        "minimum": "least",
        "maximum": "most",
        "last": "last",
    }
    numbers = _table(columns, rows, len(findings.series), "No numbers were reported in this time.")
    structured = {"name": "table, graph or histogram", "node_id": "node", "graph_type": "kind", "reports": "reports", "first": "first", "last": "last"}  # fmt: skip
    more = _table(structured, findings.structured, len(findings.structured), "")
    return drawn + numbers + more


def _events(findings: ReportFindings) -> str:
    columns = {
        "event_time": "time",
        "type": "type",
        "title": "event",
        "description": "description",
        "node_id": "node",
        "agent_id": "host",
        "is_alert": "alert",
    }
    return _table(columns, *findings.events, "Components reported no events in this time.")


def _people(findings: ReportFindings) -> str:
    columns = {
        "event_time": "time",
        "who": "who",
        "action": "action",
        "node_id": "node",
        "model_id": "model",
        "target": "of",
        "comment": "comment",
    }
    return _table(columns, *findings.actions, "Nobody acted in this time.")


def _definition(findings: ReportFindings) -> str:
    if not findings.definitions:
        return "<p>The MLApp has no definition: its components report without one.</p>"
    newest = findings.definitions[-1]
    names = ("node_id", "name", "type", "mode", "schedule", "pipeline", "parents")
    nodes = [
        dict(zip(names, values, strict=True)) | {"parents": ", ".join(values[-1])}
        for values in zip(*(newest[f"nodes.{name}"] for name in names), strict=True)
    ]
    shown = {name: name.replace("_id", "") for name in names}
    versions = _table(
        {"version": "version", "event_time": "applied", "applied_by": "by", "model_policy": "model policy"},
        findings.definitions,
        len(findings.definitions),
        "",
    )
    text = f"<pre>{escape(newest['source_yaml'])}</pre>"
    return _table(shown, nodes, len(nodes), "") + versions + text


def _series_text(row: Mapping[str, Any]) -> str:
    details = [row["node_id"], label_text(row["labels"]), row["agent_id"]]
    return " · ".join([row["name"], *(each for each in details if each)])


def _figure(axis: Axis, name: str, rows: Sequence[Row], width_ms: int) -> str:
    points = [
        Point(axis.start_ms + row["bucket"] * width_ms, row["mean"], row["minimum"], row["maximum"])
        for row in rows
    ]
    chart = line_chart(axis, points, name, width_ms)
    return f"<figure><figcaption>{escape(name)}</figcaption>{_scrolled(chart)}</figure>"


def _table(columns: Mapping[str, str], rows: Sequence[Row], count: int, when_empty: str) -> str:
    if not rows:
        return f"<p>{escape(when_empty)}</p>" if when_empty else ""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in columns.values())
    rows = rows[:_SHOWN_ROWS]
    body = "".join(f"<tr>{_cells(row[name] for name in columns)}</tr>" for row in rows)
    more = count - len(rows)
    rest = f"<p>and {more:,} more, which are in the tables of this capture.</p>" if more > 0 else ""
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{rest}'
    )


def _scrolled(part: str) -> str:
    """What may be wider than the page: it scrolls by itself, with the keyboard too."""
    return f'<div class="scroll" tabindex="0">{part}</div>'


def _cells(values: Iterable[Any]) -> str:
    return "".join(map(_cell, values))


def _cell(value: Any) -> str:
    if type(value) is int:
        return f'<td class="number">{value:,}</td>'
    kind = ' class="time"' if isinstance(value, datetime) else ""
    return f"<td{kind}>{escape('' if value is None else scalar_text(value))}</td>"
