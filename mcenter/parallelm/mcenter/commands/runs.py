"""``mcenter runs``: list runs and when they are due, see what became of one and why, and stop one."""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.answer_options import run_options
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.mlapp_runs import actions, show_answers
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo
from parallelm.mcenter.time_option import TIME

_SHORT = [
    "mlapp_id",
    "node_id",
    "run_id",
    "state",
    "attempt",
    "trigger",
    "due_at",
    "ended_at",
    "agent_id",
    "reason",
]
_DUE = ["due_at", "mlapp_id", "node_id", "cron", "timezone"]
_WEEK_MS = 7 * 86_400_000
_LONGEST_MS = 366 * 86_400_000
_HISTORY = ["event_time", "attempt", "state", "agent_id", "who", "reason"]


@click.group()
def runs() -> None:
    """List runs of nodes by agents and when they are due, see what became of one and why, and stop one."""


@runs.command(name="list")
@click.option("--mlapp", "mlapp_id", help="Only runs of this MLApp.")
@click.option("--node", "node_id", help="Only runs of this node.")
@click.option("--agent", "agent_id", help="Only runs on this agent.")
@click.option("--state", help="Only runs in this state: waiting, running, unreachable, failed, missed, …")
@click.option("--from", "start", type=TIME, help="Only runs that had not ended before this time.")
@click.option("--to", "end", type=TIME, help="Only runs that were due before this time.")
@result_options
def list_(format_: str, output: Path | None, **chosen: Any) -> None:
    """List runs by when they were due; also those that wait for something, and those that were missed, with the reason."""
    from parallelm.warehouse.queries import runs as find

    settings = load_settings()
    with reported_in_one_line(settings):
        found = find(settings, **chosen)
    write_result(found[_SHORT] if format_ == "table" else found, format_, output)


@runs.command()
@click.option("--mlapp", "mlapp_id", help="Only nodes of this MLApp.")
@click.option("--from", "start", type=TIME, help="From this time on.  [default: now]")
@click.option("--to", "end", type=TIME, help="Before this time.  [default: a week after --from]")
@result_options
def due(mlapp_id: str | None, start: str | None, end: str | None, format_: str, output: Path | None) -> None:
    """List when nodes are due by their schedules, as definitions are now; jitter is in the times."""
    import pandas as pd

    from parallelm.operations.schedule import schedules
    from parallelm.schemas.times import ceil_ms, floor_ms, time_ns

    settings = load_settings()
    start_ms = floor_ms(time_ns(start)) if start else int(time.time() * 1000)
    end_ms = ceil_ms(time_ns(end)) if end else start_ms + _WEEK_MS
    if not 0 <= end_ms - start_ms <= _LONGEST_MS:
        raise click.UsageError("--to must be at most 366 days after --from")
    with reported_in_one_line(settings):
        found = schedules(settings, start_ms, end_ms, mlapp_ids=[mlapp_id] if mlapp_id else None)
    rows = [
        (due_ms, each.mlapp_id, each.node_id, each.cron, each.timezone)
        for each in found
        for due_ms in each.due_ms
    ]
    frame = pd.DataFrame(sorted(rows), columns=_DUE)
    frame["due_at"] = pd.to_datetime(frame["due_at"], unit="ms")
    for each in found:
        if each.is_cut:
            echo(f"of {each.mlapp_id} {each.node_id} the first {len(each.due_ms)} times are shown", err=True)
    write_result(frame, format_, output)


@runs.command()
@click.argument("run_id", metavar="RUN")
def show(run_id: str) -> None:
    """Show what became of RUN, or of the one run whose id begins so, step by step."""
    from parallelm.operations.runs import find_run
    from parallelm.warehouse.queries import run_transitions

    settings = load_settings()
    with reported_in_one_line(settings):
        row = find_run(settings, run_id)
        history = run_transitions(settings, mlapp_id=row["mlapp_id"], run_id=row["run_id"])
    for name, value in row.items():
        if not name.startswith("_") and value not in (None, ""):
            echo(f"{name:22} {value}")
    echo("")
    write_result(history[_HISTORY], "table", None)


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--lines", "-n", type=click.IntRange(1), default=200, show_default=True, help="So many of the last."
)
@click.option("--search", help="Only lines with this text in them, in whatever case.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written, until the run has ended.")
def logs(run_id: str, lines: int, search: str | None, *, follow: bool) -> None:
    """Print what the program of RUN has written."""
    from parallelm.operations.run_logs import written_lines

    settings = load_settings()
    with reported_in_one_line(settings):
        for line in written_lines(settings, run_id, last=lines, search=search, follow=follow):
            if line["dropped"]:
                echo(f"… {line['dropped']} lines were not sent", err=True)
            echo(line["text"], err=line["stream"] == "stderr")


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.option("--force", is_flag=True, help="Give it up as lost, when its agent will never answer.")
@run_options
def stop(run_id: str, *, who: str | None, **said: Any) -> None:
    """Stop RUN."""
    asking = actions(who)
    with reported_in_one_line(load_settings()):
        answers = asking.stop_run(run_id, **said)
    show_answers(answers)
