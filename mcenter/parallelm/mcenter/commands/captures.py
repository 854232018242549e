"""``mcenter captures``: take, list, show, download, delete and import timeline captures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.answer_options import WHO
from parallelm.mcenter.cells import as_json
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.not_empty import not_empty
from parallelm.mcenter.results import result_options, write_rows
from parallelm.mcenter.terminal import echo
from parallelm.mcenter.time_option import TIME
from parallelm.operations.words import counted

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.operations.acting.captures import CaptureActions
    from parallelm.operations.captures import CaptureRecord

_SCALE = 1000
_MB = 1_000_000


@click.group()
def captures_() -> None:
    """Take, list, download, delete and import timeline captures.

    A capture is one tar file with an MLApp's state over a time range: definitions, statistics, events, actions, alerts,
    deployments, models' metadata and KPIs, as CSV of the original platform, as Parquet, and as a report to read.
    """


@captures_.command()
@click.argument("mlapp_id", metavar="MLAPP", callback=not_empty)
@click.option(
    "--from", "start", type=TIME, required=True, help="Begin of the range of event time: 2026-03-01."
)
@click.option("--to", "end", type=TIME, required=True, help="Its end, which is not in it.")
@click.option("--name", default="", help="Name of the capture.  [default: the days of the range]")
@click.option("--detach", is_flag=True, help="Return at once; a process of its own makes the capture.")
@WHO
def create(mlapp_id: str, start: str, end: str, name: str, who: str | None, *, detach: bool) -> None:
    """Take a capture of MLAPP, and print its id."""
    from parallelm.operations import captures
    from parallelm.operations.acting.captures import capture_actions

    settings = load_settings()
    actions = capture_actions(settings, who)
    with reported_in_one_line(settings):
        record = actions.create(mlapp_id, start, end, name=name)
    if detach:
        echo(
            f"capture {record.capture_id} is being made; `mcenter captures show {record.capture_id}` says how far"
        )
        return
    record = _followed(actions, record)
    if record.state is not captures.CaptureState.COMPLETE:
        raise click.ClickException(f"capture {record.capture_id} has failed: {record.reason}")
    rows = sum(record.rows.values())
    echo(
        f"capture {record.capture_id}: {counted(rows, 'row')}, {record.size_bytes / _MB:.1f} MB; download it with"
    )
    echo(f"  mcenter captures download {record.capture_id}")


def _followed(actions: CaptureActions, record: CaptureRecord) -> CaptureRecord:
    """The record at the end; the process that makes the capture goes on when this one is interrupted."""
    try:
        with click.progressbar(
            length=_SCALE,
            label="taking",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
            item_show_func=_step,
        ) as bar:
            for now in actions.follow(record):
                bar.update(int(now.share * _SCALE) - bar.pos, now)
                record = now
    except KeyboardInterrupt:
        raise click.ClickException(
            f"capture {record.capture_id} is still being made; `mcenter captures delete {record.capture_id}` gives it up"
        ) from None
    return record


def _step(now: CaptureRecord | None) -> str:
    return now.step if now is not None else ""


@captures_.command(name="list")
@click.option("--mlapp", "mlapp_id", help="Only captures of this MLApp.")
@result_options
def list_(mlapp_id: str | None, format_: str, output: Path | None) -> None:
    """List captures, the latest first, with their state and when the retention deletes them."""
    from parallelm.operations.captures import list_captures

    settings = load_settings()
    found = list_captures(settings, mlapp_id)
    if format_ != "table":
        write_rows([_shown(settings, each) for each in found], format_, output)
    elif not found and output is None:
        echo("there is no capture; take one with `mcenter captures create MLAPP --from … --to …`")
    else:
        write_rows([_line(settings, each) for each in found], format_, output)


@captures_.command()
@click.argument("capture_id", metavar="CAPTURE", callback=not_empty)
@click.option("--json", "json_", is_flag=True, help="As a JSON object.")
def show(capture_id: str, *, json_: bool) -> None:
    """Print how far a capture is, or what it holds. CAPTURE is its id or the beginning of it."""
    from parallelm.operations.captures import find_capture

    settings = load_settings()
    shown = _shown(settings, find_capture(settings, capture_id))
    if json_:
        echo(as_json(shown))
        return
    rows = shown.pop("rows")
    for key, value in shown.items():
        echo(f"{key}: {value}")
    for table, count in sorted(rows.items()):
        echo(f"  {table}: {counted(count, 'row')}")


@captures_.command()
@click.argument("capture_id", metavar="CAPTURE", callback=not_empty)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    default=Path(),
    help="File or folder to write to.  [default: timeline_capture_<name>_<MLApp>.tar here]",
)
def download(capture_id: str, output: Path) -> None:
    """Copy a complete capture to a file, and check that it is as it was made."""
    from parallelm.operations.captures import download_capture, find_capture

    settings = load_settings()
    folder, name = (output, "") if output.is_dir() else (output.parent, output.name)
    size = find_capture(settings, capture_id).size_bytes
    with click.progressbar(
        length=size, label="downloading", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        file = download_capture(settings, capture_id, folder, file_name=name, on_bytes=bar.update)
    echo(f"{file}: {file.stat().st_size / _MB:.1f} MB")


@captures_.command()
@click.argument("capture_ids", metavar="CAPTURE...", nargs=-1)
@click.option("--expired", is_flag=True, help="Those that are older than the retention allows.")
@WHO
def delete(capture_ids: tuple[str, ...], who: str | None, *, expired: bool) -> None:
    """Delete captures; one that is being made is given up."""
    from parallelm.operations.acting.captures import capture_actions

    if expired == bool(capture_ids):
        raise click.UsageError("name captures, or --expired")
    actions = capture_actions(load_settings(), who)
    gone = actions.delete_expired() if expired else [actions.delete(each) for each in capture_ids]
    for record in gone:
        echo(f"deleted capture {record.capture_id} of MLApp {record.mlapp_id!r}")
    if not gone:
        echo("no capture is older than the retention allows")


@captures_.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--mlapp", "mlapp_id", default="", help="Id under which it is imported.  [default: its own]")
@WHO
def import_(file: Path, mlapp_id: str, who: str | None) -> None:
    """Make the history in FILE, a capture of any installation, readable here.

    Its records go to the tables and to nothing else: nobody is notified, no model is deployed. What is stored already is
    left out, so importing twice adds nothing. An MLApp that is defined here keeps its history to itself: name another id.
    """
    from parallelm.operations.acting.captures import capture_actions

    settings = load_settings(role="admin")
    with (
        reported_in_one_line(settings),
        click.progressbar(
            length=_SCALE,
            label="importing",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
            item_show_func=str,
        ) as bar,
    ):
        done = capture_actions(settings, who).import_file(
            file, mlapp_id, lambda share, table: bar.update(int(share * _SCALE) - bar.pos, table)
        )
    sent = sum(done.records.values())
    echo(
        f"imported capture {done.capture_id} as MLApp {done.mlapp_id!r}: {counted(sent, 'record')} sent, "
        f"{counted(done.known_rows, 'row')} known before"
    )
    if done.behind:
        echo(
            f"the sinks have {counted(done.behind, 'record')} left to store: they can be read when `mcenter status` says 0"
        )


def _shown(settings: Settings, record: CaptureRecord) -> dict[str, Any]:
    from parallelm.operations.captures import expires_at_ms

    times = {
        "from": record.start_ms,
        "to": record.end_ms,
        "created_at": record.created_at_ms,
        "kept_until": expires_at_ms(record, settings),
    }
    return {
        "capture_id": record.capture_id,
        "name": record.name,
        "mlapp_id": record.mlapp_id,
        "state": record.state.value,
        "share": record.share,
        "step": record.step,
        "reason": record.reason,
        **{key: _utc(value) for key, value in times.items()},
        "created_by": record.created_by,
        "size_bytes": record.size_bytes,
        "sha256": record.sha256,
        "rows": record.rows,
    }


def _line(settings: Settings, record: CaptureRecord) -> dict[str, Any]:
    shown = _shown(settings, record)
    state = f"{shown['state']} {record.share:.0%}" if record.state == "in_progress" else shown["state"]
    return {
        **{key: shown[key] for key in ("capture_id", "mlapp_id", "name", "from", "to")},
        "state": state,
        "MB": f"{record.size_bytes / _MB:.1f}",
        "kept_until": shown["kept_until"] or "for ever",
        "reason": record.reason,
    }


def _utc(moment_ms: int | None) -> str | None:
    from datetime import UTC, datetime, timedelta

    if moment_ms is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment_ms)
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
