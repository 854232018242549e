"""The report in sentences: what a person would say who has looked at the charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.operations.captures.report.charts import number_text, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.operations.captures.report.findings import ReportFindings

_DAY_MS = 86_400_000
_PREDICTIONS = "pipelinestat.count"
_NAMED = 5
_END = ("rolled_back", "failed", "rejected", "skipped")


def sentences(findings: ReportFindings) -> list[str]:
    """What happened, in the order in which a reader asks."""
    return [
        _range(findings),
        *_kpis(findings),
        *_models(findings),
        _alerts(findings),
        _people(findings),
    ]


def counted(number: int, one: str) -> str:
    """``1 alert``, ``2 alerts``."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def label_text(labels: Mapping[str, str]) -> str:
    """Labels as people read them."""
    return ", ".join(f"{key} {value}" for key, value in sorted(labels.items()))


def moment_ms(moment: Any) -> float:
    """Epoch milliseconds of a time of the warehouse."""
    return float(moment.timestamp() * 1000)


def _range(findings: ReportFindings) -> str:
    chosen = findings.chosen
    days = (chosen.end_ms - chosen.start_ms) / _DAY_MS
    samples = sum(row["samples"] for row in findings.series)
    nodes = {row["node_id"] for row in findings.series} - {""}
    hosts = {row["agent_id"] for row in findings.series} - {""}
    predictions = sum(row["total"] for row in findings.series if row["name"] == _PREDICTIONS)
    text = (
        f"In the {number_text(round(days, 2))} days from {time_text(chosen.start_ms)} to {time_text(chosen.end_ms)} UTC, "
        f"{counted(samples, 'sample')} of {len(findings.series):,} series came from "
        f"{counted(len(nodes), 'node')} on {counted(len(hosts), 'host')}"
    )
    return f"{text}, and {predictions:,.0f} predictions were made." if predictions else f"{text}."


def _kpis(findings: ReportFindings) -> list[str]:
    said = []
    by_series: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in findings.kpis:
        by_series.setdefault((row["name"], label_text(row["labels"])), []).append(row)
    for (name, labels), rows in list(by_series.items())[:_NAMED]:
        points = sum(row["points"] for row in rows)
        mean = sum(row["mean"] * row["points"] for row in rows) / points
        lowest, highest = min(rows, key=lambda row: row["minimum"]), max(rows, key=lambda row: row["maximum"])
        said.append(
            f"KPI {name}{f' ({labels})' if labels else ''} has {counted(points, 'point')} with a mean of "
            f"{number_text(mean)}: lowest {number_text(lowest['minimum'])} around {_bucket(findings, lowest)}, "
            f"highest {number_text(highest['maximum'])} around {_bucket(findings, highest)}."
        )
    if len(by_series) > _NAMED:
        said.append(f"{len(by_series) - _NAMED} more series of KPIs are drawn below.")
    return said or ["No KPI has points in this time."]


def _bucket(findings: ReportFindings, row: Mapping[str, Any]) -> str:
    return time_text(findings.chosen.start_ms + row["bucket"] * findings.width_ms)


def _models(findings: ReportFindings) -> list[str]:
    chosen, rows = findings.chosen, findings.deployments
    live = [row for row in rows if row["live_from"] is not None]
    new = [row for row in live if moment_ms(row["live_from"]) >= chosen.start_ms]
    announced = findings.models[1]
    said = [
        f"{counted(announced, 'model')} {_was(announced)} announced, {counted(len(new), 'deployment')} went live."
    ]
    for node in dict.fromkeys(row["node_id"] for row in live):
        of_node = [row for row in live if row["node_id"] == node]
        names = [f"{model_text(row)} from {_from(row, chosen.start_ms)}" for row in of_node]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        said.append(f"On node {node} were live: {'; '.join(names[:_NAMED])}{more}.")
    ended = [row for row in rows if row["state"] in _END]
    said += [
        f"Model {model_text(row)} on node {row['node_id']} was {row['state'].replace('_', ' ')}: {row['ended_reason']}."
        for row in ended[:_NAMED]
    ]
    if len(ended) > _NAMED:
        said.append(f"{len(ended) - _NAMED} more deployments did not stay: see the table.")
    return said


def model_text(row: Mapping[str, Any]) -> str:
    """Name of a deployment's model, or its id."""
    return str(row["model_name"] or row["model_id"])


def _from(row: Mapping[str, Any], start_ms: int) -> str:
    began = moment_ms(row["live_from"])
    return "before the range began" if began < start_ms else time_text(began)


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _alerts(findings: ReportFindings) -> str:
    rows = findings.alerts
    if not rows:
        return "No alert was open."
    open_ = [
        row
        for row in rows
        if row["resolved_at"] is None or moment_ms(row["resolved_at"]) >= findings.chosen.end_ms
    ]
    by_rule: dict[str, int] = {}
    for row in rows:
        by_rule[row["rule"]] = by_rule.get(row["rule"], 0) + 1
    most = sorted(by_rule.items(), key=lambda each: (-each[1], each[0]))[:_NAMED]
    return (
        f"{counted(len(rows), 'alert')} {_was(len(rows))} open in this time ("
        f"{', '.join(f'{rule} {count} times' if count > 1 else f'{rule} once' for rule, count in most)}); "
        f"{len(open_)} of them {_was(len(open_))} still open at its end."
    )


def _people(findings: ReportFindings) -> str:
    actions, count = findings.actions
    people: Sequence[str] = sorted({row["who"] for row in actions})
    events = f"Components reported {counted(findings.events[1], 'event')}"
    if not count:
        return f"{events}; nobody acted."
    return f"{events}; {', '.join(people[:_NAMED])} acted {counted(count, 'time')}."
