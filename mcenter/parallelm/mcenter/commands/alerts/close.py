"""``mcenter alerts close``: end an alert as a person."""

from __future__ import annotations

import click

from parallelm.connections import load_settings
from parallelm.mcenter.answer_options import answer_options
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.terminal import echo
from parallelm.operations.acting.alerts import alert_actions


@click.command()
@click.argument("alert")
@answer_options
def close(alert: str, who: str | None, comment: str, timeout_s: float) -> None:
    """End ALERT, an id or the beginning of one. Its rule raises it again only after its condition has been over.

    Waits until the processors have recorded it.
    """
    settings = load_settings()
    with reported_in_one_line(settings):
        done = alert_actions(settings, who).close(alert, comment=comment, timeout_s=timeout_s)
    echo(f"alert {done.alert_id} ({done.rule}) is {done.state}: {done.reason}")
