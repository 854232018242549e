"""``mcenter alerts list``: list alerts that are open, or were."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING

import click

from parallelm.connections import Settings, load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.key_values import KEY_VALUE
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo
from parallelm.mcenter.time_option import TIME
from parallelm.operations.alerts import list_alerts, silenced_by
from parallelm.schemas.errors import SchemaError
from parallelm.schemas.records import AlertState

if TYPE_CHECKING:
    import pandas as pd

_SHORT = [
    "alert",
    "mlapp_id",
    "rule",
    "severity",
    "state",
    "node_id",
    "labels",
    "value",
    "threshold",
    "started_at",
    "fired_at",
    "resolved_at",
    "acknowledged_by",
    "silenced_by",
    "reason",
]
_ID_CHARACTERS = 12
"""Of the id of an open alert: enough to name it."""
_STATES = [state.value for state in AlertState if state is not AlertState.UNKNOWN]


@click.command(name="list")
@click.option("--mlapp", "mlapp_id", help="Only alerts of this MLApp.")
@click.option("--rule", help="Only alerts of this rule.")
@click.option(
    "--severity", type=click.Choice(["info", "warning", "critical"]), help="Only alerts of this severity."
)
@click.option("--node", "node_id", help="Only alerts of this node.")
@click.option("--state", type=click.Choice(_STATES), help="Only alerts in this state, also if it is an end.")
@click.option(
    "--label", "labels", type=KEY_VALUE, multiple=True, help="Only alerts with this label; repeatable."
)
@click.option("--at", type=TIME, help="As they were at this event time.  [default: now]")
@click.option("--open", "only_open", is_flag=True, help="Only alerts that are open, as without options.")
@click.option(
    "--all", "also_over", is_flag=True, help="Also those that are over, and that ended before they fired."
)
@result_options
def list_(
    mlapp_id: str | None,
    rule: str | None,
    severity: str | None,
    node_id: str | None,
    state: str | None,
    labels: tuple[tuple[str, str], ...],
    at: str | None,
    format_: str,
    output: Path | None,
    *,
    only_open: bool,
    also_over: bool,
) -> None:
    """List open alerts, pending and acknowledged ones too, by the time their condition was met: one row an episode.

    silenced_by is who mutes notifications of it now.
    settled_by_model_id is the model that went live between firing and resolving; empty when none did.
    """
    settings = load_settings()
    with reported_in_one_line(settings):
        found = list_alerts(
            settings,
            mlapp_id=mlapp_id,
            rule=rule,
            severity=severity,
            node_id=node_id,
            state=state,
            labels=dict(labels),
            also_over=also_over and not only_open,
            at=at,
        )
    if at is None:
        found["silenced_by"] = _silenced_by(settings, found)
    else:
        found["silenced_by"] = ""
    if format_ == "table":
        over = found["state"].isin([AlertState.RESOLVED, AlertState.INACTIVE])
        found["alert"] = found["alert_id"].where(over, found["alert_id"].str[:_ID_CHARACTERS])
        found["reason"] = found["resolved_reason"].where(
            found["resolved_reason"] != "", found["fired_reason"]
        )
        found = found[_SHORT]
    write_result(found, format_, output)


def _silenced_by(settings: Settings, found: pd.DataFrame) -> list[str]:
    """Who has silenced each alert; alerts are listed without Kafka, too."""
    try:
        return silenced_by(settings, found)
    except SchemaError as error:
        echo(f"silences are not shown: {error}", err=True)
        return [""] * len(found)
