"""``mcenter alerts ack``: acknowledge an alert, so that others see who takes care of it."""

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
def ack(alert: str, who: str | None, comment: str, timeout_s: float) -> None:
    """Acknowledge ALERT, an id or the beginning of one: it goes on, and resolves as usual.

    Waits until the processors have recorded it.
    """
    settings = load_settings()
    with reported_in_one_line(settings):
        done = alert_actions(settings, who).acknowledge(alert, comment=comment, timeout_s=timeout_s)
    echo(f"alert {done.alert_id} ({done.rule}) is acknowledged by {done.who}")
