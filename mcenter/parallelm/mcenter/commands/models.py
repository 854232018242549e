"""``mcenter models``: list models, review and deploy them, keep their files, and see what was live when and why."""

from __future__ import annotations

import logging
from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING, Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter import model_files
from parallelm.mcenter.answer_options import answer_options
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo
from parallelm.mcenter.time_option import TIME

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings

_SHORT = ["event_time", "model_id", "name", "format", "mlapp_id", "node_id", "size_bytes", "live_on"]
_HISTORY = [
    "event_time",
    "node_id",
    "model_name",
    "model_id",
    "attempt",
    "state",
    "who",
    "agent_id",
    "reason",
]
_LIVE = [
    "mlapp_id",
    "node_id",
    "model_name",
    "model_id",
    "attempt",
    "live_from",
    "live_to",
    "decided_reason",
    "decided_by",
]
_ANNOUNCED = (
    "model_id",
    "name",
    "format",
    "description",
    "event_time",
    "node_id",
    "size_bytes",
    "artifact_url",
)
_DEPLOYMENTS = ["node_id", "attempt", "state", "live_from", "live_to", "decided_by", "agents"]
_PENDING = ("held", "awaiting_approval", "canary")

_APP = click.option("--mlapp", "mlapp_id", required=True, help="MLApp.")
_NODE = click.option(
    "--node", "node_id", default="", help="Only on this node.  [default: wherever it applies]"
)


@click.group()
def models_() -> None:
    """List models, review and deploy them, and see what was live when and why.

    MODEL is the id of a model, or the beginning of one.
    """


def _action(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that every action has."""
    event_time = click.option(
        "--event-time", type=TIME, help="When it is decided, for a replay of the past.  [default: now]"
    )
    return _APP(_NODE(event_time(answer_options(command))))


@models_.command(name="list")
@click.option("--mlapp", "mlapp_id", help="Only models of this MLApp.")
@click.option("--pending", is_flag=True, help="Only reviews, canaries and models that are held.")
@result_options
def list_(mlapp_id: str | None, format_: str, output: Path | None, *, pending: bool) -> None:
    """List models by the time they were announced, with the nodes on which each is live now."""
    from parallelm.warehouse.queries import deployments, models

    settings = load_settings()
    with reported_in_one_line(settings):
        if pending:
            found = deployments(settings, mlapp_id=mlapp_id)
            found = found[found["state"].isin(_PENDING)]
            short = ["mlapp_id", "node_id", "model_id", "attempt", "state", "decided_at", "decided_reason"]
        else:
            found, short = models(settings, mlapp_id=mlapp_id), _SHORT
    write_result(found[short] if format_ == "table" else found, format_, output)


@models_.command()
@click.argument("model_id", metavar="MODEL")
@_APP
def show(model_id: str, mlapp_id: str) -> None:
    """Print what MODEL is, its deployments, and its metrics beside those of the model that is live."""
    from parallelm.operations import models as operations
    from parallelm.warehouse.queries import deployment_history, deployments, live_models, models

    settings = load_settings()
    with reported_in_one_line(settings):
        model_id = operations.resolve_model(settings, mlapp_id, model_id)
        (announced,) = models(settings, mlapp_id=mlapp_id, model_id=model_id).to_dict("records")
        for name in _ANNOUNCED:
            echo(f"{name}: {announced[name]}")
        _title("Deployments")
        found = deployments(settings, mlapp_id=mlapp_id, model_id=model_id)
        write_result(found[_DEPLOYMENTS], "table", None)
        _title("Decisions")
        history = deployment_history(settings, mlapp_id=mlapp_id, model_id=model_id)
        write_result(history[_HISTORY], "table", None)
        live = live_models(settings, mlapp_id=mlapp_id)
        for other in sorted(set(live["model_id"]) - {model_id}):
            _write_comparison(settings, mlapp_id, model_id, other, None)


@models_.command()
@click.argument("model_id", metavar="MODEL")
@click.argument("other_id", metavar="OTHER", required=False)
@_APP
@_NODE
def compare(model_id: str, other_id: str | None, mlapp_id: str, node_id: str) -> None:
    """Compare the metrics of MODEL with those of OTHER, or of the models that are live, as a canary does."""
    from parallelm.operations import models as operations
    from parallelm.warehouse.queries import live_models

    settings = load_settings()
    with reported_in_one_line(settings):
        model_id = operations.resolve_model(settings, mlapp_id, model_id)
        if other_id is not None:
            others = [operations.resolve_model(settings, mlapp_id, other_id)]
        else:
            live = live_models(settings, mlapp_id=mlapp_id)
            others = sorted(set(live["model_id"]) - {model_id})
        if not others:
            raise click.ClickException(
                f"no other model of MLApp {mlapp_id!r} is live: name the one to compare with"
            )
        for other in others:
            _write_comparison(settings, mlapp_id, model_id, other, node_id or None)


@models_.command()
@_APP
@click.option("--node", "node_id", help="Only on this node.")
@click.option("--model", "model_id", help="Only of this model.")
@result_options
def history(
    mlapp_id: str, node_id: str | None, model_id: str | None, format_: str, output: Path | None
) -> None:
    """List every decision on deployments, and the answers to people, in the order in which they were made."""
    from parallelm.operations import models as operations
    from parallelm.warehouse.queries import deployment_history

    settings = load_settings()
    with reported_in_one_line(settings):
        if model_id is not None:
            model_id = operations.resolve_model(settings, mlapp_id, model_id)
        found = deployment_history(settings, mlapp_id=mlapp_id, node_id=node_id, model_id=model_id)
    write_result(found[_HISTORY] if format_ == "table" else found, format_, output)


@models_.command()
@click.option("--mlapp", "mlapp_id", help="Only of this MLApp.")
@click.option("--at", type=TIME, help="At this time.  [default: now]")
@result_options
def live(mlapp_id: str | None, at: str | None, format_: str, output: Path | None) -> None:
    """List the model that was live on each node at a time, and why."""
    from parallelm.warehouse.queries import live_models

    settings = load_settings()
    with reported_in_one_line(settings):
        found = live_models(settings, at, mlapp_id=mlapp_id)
    write_result(found[_LIVE] if format_ == "table" else found, format_, output)


@models_.command()
@click.argument("model_id", metavar="[MODEL]", default="")
@_action
def approve(model_id: str, **options: Any) -> None:
    """Approve MODEL, or the newest that is pending: a review, a canary, or what a gate holds."""
    _decide("approve", model_id, **options)


@models_.command()
@click.argument("model_id", metavar="[MODEL]", default="")
@_action
def reject(model_id: str, **options: Any) -> None:
    """Reject MODEL, or the newest that is pending; only a person can deploy it afterwards."""
    _decide("reject", model_id, **options)


@models_.command()
@click.argument("model_id", metavar="MODEL")
@_action
def deploy(model_id: str, **options: Any) -> None:
    """Deploy MODEL at once, whatever the policy says: no gate, review, canary, window or cool-down."""
    _decide("deploy", model_id, **options)


@models_.command()
@click.argument("model_id", metavar="[MODEL]", default="")
@_action
def rollback(model_id: str, **options: Any) -> None:
    """Go back to the model that was live before, or to MODEL."""
    _decide("roll_back", model_id, **options)


@models_.command()
@click.argument("model_id", metavar="[MODEL]", default="")
@_action
def pin(model_id: str, **options: Any) -> None:
    """Keep the live model, or deploy and keep MODEL: until `unpin`, nothing else is deployed."""
    _decide("pin", model_id, **options)


@models_.command()
@_action
def unpin(**options: Any) -> None:
    """Let the policy go on; what was held by the pin is taken up."""
    _decide("unpin", "", **options)


def _decide(
    action: str,
    model_id: str,
    *,
    mlapp_id: str,
    node_id: str,
    who: str | None,
    comment: str,
    event_time: str | None,
    timeout_s: float,
) -> None:
    """Carry out an action, and print what followed; ends with 1 when it was refused everywhere."""
    from parallelm.operations.acting.models import Decision, model_actions

    # Errors are complete messages: the Kafka client need not log on the terminal as well.
    logging.getLogger("parallelm.kafka").addHandler(logging.NullHandler())
    settings = load_settings()
    decision = Decision(
        action=action,
        mlapp_id=mlapp_id,
        model_id=model_id,
        node_id=node_id,
        comment=comment,
        event_time=event_time,
    )
    with reported_in_one_line(settings):
        answers = model_actions(settings, who).decide(decision, timeout_s=timeout_s)
    for each in answers:
        echo(f"{each.node_id or mlapp_id}: {each.model_id or '-'} {each.state}: {each.reason}")
    if all(each.state == "refused" for each in answers):
        raise click.exceptions.Exit(1)


def _write_comparison(
    settings: Settings, mlapp_id: str, model_id: str, other_id: str, node_id: str | None
) -> None:
    from parallelm.operations import models as operations

    _title(f"{model_id} beside {other_id} (other), shift with its 98 % interval")
    write_result(operations.compare(settings, mlapp_id, model_id, other_id, node_id), "table", None)


def _title(text: str) -> None:
    echo("")
    echo(text)


@models_.command()
@click.argument("model_id", required=False)
@click.option("--mlapp", "mlapp_id", help="Only predictions of this MLApp.")
@click.option("--outcome", help="Only predictions of this outcome.")
@click.option(
    "--by", type=click.Choice(["hour", "day", "week", "month", "all"]), default="day", show_default=True
)
@click.option("--segment", metavar="FEATURE", help="A row for each value of this feature.")
@click.option("--timezone", default="UTC", show_default=True, help="Whose clock cuts days: Europe/Berlin, …")
@click.option("--from", "start", type=TIME, help="Only predictions from this time on: 2026-03-01 (UTC), …")
@click.option("--to", "end", type=TIME, help="Only predictions before this time.")
@click.option("--known-at", "known_at", type=TIME, help="Without what arrived after this time.")
@click.option("--threshold", default=0.5, show_default=True, help="A score from here on decides for 1.")
@click.option(
    "--cost",
    "costs",
    type=(str, float),
    multiple=True,
    metavar="DECISION:ACTUAL AMOUNT",
    help="What such a prediction costs: 1:0 10, late:on-time 5; of numbers a unit over or under. Repeatable.",
)
@click.option("--calibration", "shows_calibration", is_flag=True, help="Scores against outcomes, by tenths.")
@result_options
def quality(
    by: Any,
    segment: str | None,
    timezone: str,
    costs: tuple[tuple[str, float], ...],
    format_: str,
    output: Path | None,
    *,
    shows_calibration: bool,
    **selected: Any,
) -> None:
    """Show how good the predictions of MODEL_ID, or of all models, were, by when they were made.

    known_share is the share of predictions whose outcome is known; all measures are of these.
    """
    from parallelm.warehouse.queries import model_quality as queries

    settings = load_settings()
    judged = queries.Judged(costs=dict(costs), **selected)
    with reported_in_one_line(settings):
        if shows_calibration:
            found = queries.calibration(settings, judged)
        else:
            bucket = None if by == "all" else by
            found = queries.model_quality(settings, judged, by=bucket, segment=segment, timezone=timezone)
    if format_ == "table":
        # Measures that apply to none of the rows are left out.
        found = found.dropna(axis="columns", how="all") if len(found) else found
    write_result(found, format_, output)


for _command in model_files.COMMANDS:
    models_.add_command(_command)
