"""``mcenter alerts show``: show one alert with everything that has happened to it."""

from __future__ import annotations

import click

from parallelm.connections import load_settings
from parallelm.mcenter.cells import as_json, table_cell
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.terminal import echo, echo_lines, write_text
from parallelm.operations.alerts import Episode, show_alert

_FIELDS = (
    ("alert_id", "alert"),
    ("mlapp_id", "MLApp"),
    ("rule", "rule"),
    ("rule_type", "type"),
    ("severity", "severity"),
    ("state", "state"),
    ("statistic", "about"),
    ("node_id", "node"),
    ("model_id", "model"),
    ("value", "value"),
    ("threshold", "threshold"),
    ("started_at", "started"),
    ("fired_at", "fired"),
    ("resolved_at", "resolved"),
    ("acknowledged_by", "acknowledged by"),
)
_WIDTH = 16


@click.command()
@click.argument("alert")
@click.option("--json", "is_json", is_flag=True, help="As JSON.")
def show(alert: str, *, is_json: bool) -> None:
    """Show ALERT, an id or the beginning of one: its labels, texts and every change of its state with its cause.

    Of an alert with several episodes, the fingerprint alone means the open one, else the latest.
    """
    settings = load_settings()
    with reported_in_one_line(settings):
        episode = show_alert(settings, alert)
    if is_json:
        write_text(as_json({**episode.alert, "transitions": list(episode.transitions)}, indent=2))
    else:
        _print(episode)


def _print(episode: Episode) -> None:
    annotations = episode.transitions[-1]["annotations"] if episode.transitions else {}
    for name, title in _FIELDS:
        if episode.alert[name] not in ("", None):
            echo(f"{title:<{_WIDTH}}{table_cell(episode.alert[name])}")
    for title, texts in (("labels", episode.alert["labels"]), ("texts", annotations)):
        for number, (key, value) in enumerate(texts.items()):
            echo(f"{'' if number else title:<{_WIDTH}}{key}: {value}")
    echo_lines("transitions")
    for each in episode.transitions:
        who = f" by {each['who']}" if each["who"] else ""
        echo(f"  {table_cell(each['event_time'])}  {each['state']}{who}: {each['reason'] or '(no reason)'}")
        cause = f"{each['cause_topic']}/{each['cause_partition']}@{each['cause_offset']}"
        told = f"caused by {cause}" if each["cause_topic"] else "caused by time"
        echo(f"    {told}, decided at {table_cell(each['decided_at'])}, transition {each['transition_id']}")
