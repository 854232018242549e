"""Takes a capture: rows, files of the original, report and manifest, streamed into one tar in the store."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from parallelm.operations.actions import ALL_MLAPPS, new_action, record_action
from parallelm.operations.captures.contents import export
from parallelm.operations.captures.contents.tables import STATISTICS, write_statistics, write_table
from parallelm.operations.captures.contents.tar_writer import CaptureWriter, HashingFile
from parallelm.operations.captures.makers import Progress, by_this_process, now_ms
from parallelm.operations.captures.record import CaptureRecord, CaptureState
from parallelm.operations.captures.report import read_findings, report_html
from parallelm.operations.captures.store import CaptureStore
from parallelm.operations.errors import CaptureError, UnknownMLAppError
from parallelm.schemas.captures import CaptureManifest, names
from parallelm.schemas.times import Time, TimeError, range_ms
from parallelm.schemas.well_known import TAKE_CAPTURE
from parallelm.warehouse.queries.capture_export import pipeline_instances
from parallelm.warehouse.queries.capture_report import definitions_between
from parallelm.warehouse.queries.captures import (
    CAPTURE_TABLES,
    CaptureRange,
    capture_series,
    count_rows,
    is_known_mlapp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRequest:
    """What to capture."""

    mlapp_id: str
    start: Time
    end: Time
    who: Author
    name: str = ""
    """Empty: the days of the range."""


def new_capture(settings: Settings, request: CaptureRequest) -> CaptureRecord:
    """Record of a capture that this process begins; it is in the audit log and in the store.

    Raises ``CaptureError`` for a range without both sides or a store that does not answer, ``UnknownMLAppError`` when
    nothing of the MLApp is stored, the driver's errors, and as ``record_action``.
    """
    try:
        start_ms, end_ms = range_ms(request.start, request.end)
    except TimeError as error:
        raise CaptureError(str(error)) from error
    if start_ms is None or end_ms is None or start_ms >= end_ms:
        raise CaptureError(f"a capture needs a start before its end, not {request.start} to {request.end}")
    if request.mlapp_id == ALL_MLAPPS or not is_known_mlapp(settings, request.mlapp_id):
        raise UnknownMLAppError(
            f"nothing of an MLApp {request.mlapp_id!r} is stored; `mcenter mlapps list` shows them"
        )
    created_ms = now_ms()
    record = CaptureRecord(
        capture_id=f"{_EPOCH + timedelta(milliseconds=created_ms):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}",
        name=request.name or f"{_day(start_ms)}_{_day(end_ms)}",
        mlapp_id=request.mlapp_id,
        start_ms=start_ms,
        end_ms=end_ms,
        created_by=request.who.name,
        created_at_ms=created_ms,
        step="begins",
    )
    record = by_this_process(record)
    said = {"name": record.name, "start_ms": str(start_ms), "end_ms": str(end_ms)}
    record_action(
        settings,
        new_action(TAKE_CAPTURE, record.mlapp_id, who=request.who, target=record.capture_id, parameters=said),
    )
    CaptureStore(settings).write(record)
    return record


def make_capture(
    settings: Settings, record: CaptureRecord, on_progress: Callable[[CaptureRecord], None] | None = None
) -> CaptureRecord:
    """Make the capture of a record, and return the record as it is then. ``on_progress`` is called in this thread.

    When it cannot be made, the record says why, and the error is raised: ``CaptureError``, and those of the clients.
    """
    store = CaptureStore(settings)
    progress = Progress(store, record, on_progress)
    progress.start()
    try:
        made = _made(settings, store, progress)
        progress.stop()
        progress.still_wanted()
    except BaseException as error:
        progress.stop()
        _give_up(store, progress.record, error)
        raise
    complete = replace(made, state=CaptureState.COMPLETE, share=1.0, step="", updated_at_ms=now_ms())
    store.write(complete)
    store.delete_progress(complete)
    return complete


def _give_up(store: CaptureStore, record: CaptureRecord, error: BaseException) -> None:
    reason = " ".join(str(error).partition("Stack trace:")[0].split()) or type(error).__name__
    failed = replace(
        record, state=CaptureState.FAILED, reason=reason[:_LONGEST_REASON], updated_at_ms=now_ms()
    )
    try:
        store.delete_file(record)
        if store.exists(record):
            store.write(failed)
        store.delete_progress(record)
    except CaptureError as second:
        error.add_note(f"nor could this be written into its record: {second}")


def _made(settings: Settings, store: CaptureStore, progress: Progress) -> CaptureRecord:
    record = progress.record
    chosen = CaptureRange(
        mlapp_id=record.mlapp_id,
        start_ms=record.start_ms,
        end_ms=record.end_ms,
        known_at_ms=record.created_at_ms,
    )
    with store.open_to_write(record) as file:
        out = HashingFile(file)
        writer = CaptureWriter(out, progress.alive)
        rows = _write(settings, writer, chosen, progress)
        writer.close()
    return replace(progress.record, size_bytes=out.size_bytes, sha256=out.sha256, rows=rows)


def _write(
    settings: Settings, writer: CaptureWriter, chosen: CaptureRange, progress: Progress
) -> dict[str, int]:
    progress.step("counts rows")
    series = capture_series(settings, chosen)
    samples = sum(row["samples"] for row in series)
    progress.expect(2 * samples + sum(count_rows(settings, table, chosen) for table in CAPTURE_TABLES))
    definitions = definitions_between(settings, chosen)
    _write_export(settings, writer, chosen, progress, definitions)
    rows = {}
    for table in CAPTURE_TABLES:
        progress.step(f"writes {table.name}")
        rows[table.name] = write_table(settings, writer, table, chosen, progress.rows)
    progress.step(f"writes {STATISTICS}")
    rows[STATISTICS] = write_statistics(settings, writer, chosen, series, progress.rows)
    for version, text in {each["version"]: each["source_yaml"] for each in definitions}.items():
        writer.add(names.definition_member(version), text.encode())
    progress.step("writes the report")
    record = progress.record
    findings = read_findings(settings, chosen, series, name=record.name, created_by=record.created_by)
    writer.add(names.REPORT, report_html(findings).encode())
    manifest = CaptureManifest(
        capture_id=record.capture_id,
        name=record.name,
        mlapp_id=chosen.mlapp_id,
        mlapp_name=_name_of(definitions, chosen),
        start_ms=chosen.start_ms,
        end_ms=chosen.end_ms,
        known_at_ms=chosen.known_at_ms,
        created_by=record.created_by,
        topic_prefix=settings.kafka.topic_prefix,
        members=tuple(writer.members),
    )
    writer.add_unlisted(names.MANIFEST, manifest.to_json().encode())
    return rows


def _write_export(
    settings: Settings,
    writer: CaptureWriter,
    chosen: CaptureRange,
    progress: Progress,
    definitions: Sequence[dict[str, Any]],
) -> None:
    progress.step("writes the files of the original")
    instances = pipeline_instances(settings, chosen)
    newest = definitions[-1] if definitions else None
    writer.add(names.DETAILS, export.details(chosen.mlapp_id, newest, instances).encode())
    export.write_statistics(settings, writer, chosen, progress.rows)
    export.write_events(settings, writer, chosen)
    export.write_aggregates(settings, writer, chosen, _name_of(definitions, chosen))


def _name_of(definitions: Sequence[dict[str, Any]], chosen: CaptureRange) -> str:
    return str(definitions[-1]["name"]) if definitions else chosen.mlapp_id


def _day(moment_ms: int) -> str:
    return f"{_EPOCH + timedelta(milliseconds=moment_ms):%Y-%m-%d}"
