"""``mcenter rules test``: try the rules of a file on what was reported, before they are applied."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING, Any

import click

from parallelm.connections import load_settings
from parallelm.definitions.durations import format_duration
from parallelm.mcenter.cells import as_json
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.mlapp_file import FILE, SET, read_definition
from parallelm.mcenter.tables import as_table
from parallelm.mcenter.terminal import echo, echo_lines, write_text
from parallelm.mcenter.time_option import TIME
from parallelm.operations.acting.rule_trials import rule_actions
from parallelm.operations.rule_trials import MAX_EPISODES

if TYPE_CHECKING:
    from parallelm.operations.rule_trials import PastEpisode, RuleOutcome, RuleTrial

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@click.command()
@FILE
@SET
@click.option("--from", "start", type=TIME, help="First event time.  [default: all]")
@click.option(
    "--to", "end", type=TIME, help="Event time at which the range ends, itself not included.  [default: now]"
)
@click.option("--rule", help="Only this rule of the file.")
@click.option("--mlapp", "mlapp_id", help="Take the reports of this MLApp.  [default: the one of FILE]")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Episodes that are listed at most.",
)
@click.option("--json", "is_json", is_flag=True, help="As JSON, with all episodes.")
def test(
    file: Path,
    values: tuple[tuple[str, str], ...],
    start: str | None,
    end: str | None,
    rule: str | None,
    mlapp_id: str | None,
    limit: int,
    *,
    is_json: bool,
) -> None:
    """Say when the rules of FILE would have fired and resolved on what was reported in a range of event time.

    Reports are judged in the order in which Kafka took them, as the processors do, beginning with nothing remembered:
    let the range begin before the time that you ask about where a rule learns what is usual.
    """
    definition = read_definition(file, values)
    settings = load_settings()
    with reported_in_one_line(settings):
        trial = rule_actions(settings, None).try_rules(
            definition, start=start, end=end, rule=rule, mlapp_id=mlapp_id or definition.mlapp_id
        )
    if is_json:
        write_text(
            as_json(
                {"rules": list(map(_outcome, trial.outcomes)), "episodes": list(map(_row, trial.episodes))}, 2
            )
        )
    else:
        _print(trial, mlapp_id or definition.mlapp_id, limit)


def _print(trial: RuleTrial, mlapp_id: str, limit: int) -> None:
    if trial.first_ms is None or trial.last_ms is None:
        echo(f"MLApp {mlapp_id!r} reported nothing in this range that these rules are about")
        return
    shown = trial.episodes[:limit]
    if shown:
        echo_lines(as_table([_shown(each) for each in shown]))
        if len(trial.episodes) > limit:
            more = len(trial.episodes) - limit
            echo(
                f"and {more} more; --limit shows them"
                + (f", {MAX_EPISODES} at most" if more > MAX_EPISODES else "")
            )
        echo()
    echo_lines(as_table([_summary(each) for each in trial.outcomes]))
    echo(f"reports from {_time(trial.first_ms)} to {_time(trial.last_ms)} UTC")


def _summary(outcome: RuleOutcome) -> dict[str, Any]:
    return {
        "rule": outcome.rule,
        "judged": outcome.judged,
        "fired": outcome.fired,
        "firing at the end": outcome.open,
        "did not fire": outcome.pending,
        "share of time firing": f"{outcome.firing_share:.1%}",
        "longest": format_duration(outcome.longest_ms) if outcome.fired else "",
    }


def _outcome(outcome: RuleOutcome) -> dict[str, Any]:
    return {
        "rule": outcome.rule,
        "judged": outcome.judged,
        "fired": outcome.fired,
        "firing_at_the_end": outcome.open,
        "did_not_fire": outcome.pending,
        "firing_share": outcome.firing_share,
        "longest_ms": outcome.longest_ms,
    }


def _shown(episode: PastEpisode) -> dict[str, Any]:
    row = _row(episode)
    hidden = {"alertname", "mlapp", "severity", "node"}
    labels = {key: value for key, value in episode.labels.items() if value and key not in hidden}
    return {
        "rule": row["rule"],
        "state": row["state"],
        "node": episode.labels.get("node", ""),
        "labels": ", ".join(f"{key}={value}" for key, value in labels.items()),
        "started": row["started_at"],
        "fired": row["fired_at"] or "",
        "ended": row["ended_at"] or "",
        "lasted": format_duration(row["lasted_ms"]) if row["lasted_ms"] is not None else "",
        "samples": row["samples"],
        "value": f"{episode.value:.4g}",
        "reason": episode.fired_reason or episode.ended_reason,
    }


def _row(episode: PastEpisode) -> dict[str, Any]:
    ended_ms = episode.ended_ms
    return {
        "rule": episode.rule,
        "severity": episode.severity,
        "state": episode.state.value,
        "labels": dict(episode.labels),
        "started_at": _time(episode.started_ms),
        "fired_at": _time(episode.fired_ms),
        "ended_at": _time(ended_ms),
        "lasted_ms": ended_ms - episode.started_ms if ended_ms is not None else None,
        "samples": episode.samples,
        "value": episode.value,
        "threshold": episode.threshold,
        "fired_reason": episode.fired_reason,
        "ended_reason": episode.ended_reason,
    }


def _time(timestamp_ms: int | None) -> str | None:
    if timestamp_ms is None:
        return None
    moment = (_EPOCH + timedelta(milliseconds=timestamp_ms)).replace(tzinfo=None)
    return moment.isoformat(sep=" ", timespec="milliseconds").removesuffix(".000")
