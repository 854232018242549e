"""Imports a capture: its records are sent again, as they were, to the sinks and to nobody else.

So alerts are shown and nobody is notified of them, and models are shown and none is deployed. A row that is stored is
not sent again, whether an import or a component has sent it: importing twice adds nothing, and an import that was cut off
goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from parallelm.definitions import DefinitionTopic
from parallelm.definitions.form import Identifier
from parallelm.operations.actions import new_action
from parallelm.operations.captures.importing.reading import not_a_row, row_count, rows_by_record
from parallelm.operations.captures.importing.records import as_imported
from parallelm.operations.captures.importing.sending import Outgoing, Place, Sender
from parallelm.operations.captures.importing.tables import IMPORTED_TABLES, ImportedTable
from parallelm.operations.errors import CaptureError
from parallelm.operations.stored import wait_until_stored
from parallelm.schemas import topics
from parallelm.schemas.captures import CaptureArchive
from parallelm.schemas.captures.names import OURS
from parallelm.schemas.records import RecordPosition, UserAction
from parallelm.schemas.well_known import HOSTS_MLAPP
from parallelm.warehouse.queries.capture_import import stored_rows
from parallelm.warehouse.queries.captures import is_known_mlapp

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.operations.captures.importing.records import Row
    from parallelm.schemas.captures import CaptureManifest

_RECORDS_A_TRANSACTION = 1_000
_ROWS_A_TRANSACTION = 20_000
_STORED_S = 60.0
IMPORT_ACTION = "import_capture"
_IDS: TypeAdapter[str] = TypeAdapter(Identifier)
_TOPICS = tuple(table.topic for table in IMPORTED_TABLES)

OnProgress = Callable[[float, str], None]
"""Called with the share that is done, and the table that is being read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did."""

    capture_id: str
    mlapp_id: str
    """Under which the history can be read now."""
    records: Mapping[str, int]
    """Records sent, by table."""
    known_rows: int
    """Rows that were stored before, and were not sent."""
    behind: int
    """Records that the sinks have not stored yet; 0: everything can be read."""


def import_capture(
    settings: Settings,
    file: Path,
    *,
    who: Author,
    mlapp_id: str = "",
    on_progress: OnProgress | None = None,
    stored_timeout_s: float = _STORED_S,
) -> ImportReport:
    """Make the history in a capture readable here, under its MLApp's id or another.

    Raises ``CaptureFileError`` for a file that is refused; ``CaptureError`` for a capture of the original platform, which
    has no tables, for what is no id of an MLApp, for an MLApp that is defined here, and when the sinks are behind or Kafka does not answer.
    """
    with CaptureArchive(file) as archive, tempfile.TemporaryDirectory(prefix="mcenter-capture-") as folder:
        if archive.manifest is None:
            raise CaptureError(
                f"{str(file)!r} is a capture of the original platform: it has no tables to import; "
                "mlops.load_time_capture reads it"
            )
        manifest = archive.manifest
        target = checked_target(mlapp_id or manifest.mlapp_id)
        _check_undefined(settings, target)
        archive.extract(Path(folder), OURS)
        run = _Import(settings, Path(folder), manifest, target, on_progress or (lambda _share, _table: None))
        run.begin(stored_timeout_s)
        sent = run.send(who)
        behind = wait_until_stored(settings, _TOPICS, stored_timeout_s)
        return ImportReport(
            capture_id=manifest.capture_id,
            mlapp_id=target,
            records=sent,
            known_rows=run.known_rows,
            behind=behind,
        )


def checked_target(mlapp_id: str) -> str:
    """The id of the MLApp whose history an import may be; raises ``CaptureError``."""
    try:
        _IDS.validate_python(mlapp_id)
    except ValidationError:
        is_id = False
    else:
        is_id = mlapp_id != HOSTS_MLAPP
    if not is_id:
        raise CaptureError(
            f"nothing is imported as MLApp {mlapp_id[:200]!r}, since no MLApp can have this id: name another with --mlapp, of letters, "
            "digits, dots, dashes and underscores"
        )
    return mlapp_id


def _check_undefined(settings: Settings, mlapp_id: str) -> None:
    with DefinitionTopic(settings) as topic:
        if mlapp_id in topic.catch_up():
            raise CaptureError(
                f"MLApp {mlapp_id!r} is defined here, and its history is its own: import the capture under another id "
                "with --mlapp"
            )


class _Import:
    """One import."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        manifest: CaptureManifest,
        mlapp_id: str,
        on_progress: OnProgress,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._manifest = manifest
        self._mlapp_id = mlapp_id
        self._on_progress = on_progress
        self._sender = Sender(settings)
        self._prefix = settings.kafka.topic_prefix
        self._total = sum(row_count(manifest, table.name) for table in IMPORTED_TABLES) or 1
        self._done = 0
        self._stored = False
        self._causes: frozenset[Place] = frozenset()
        self.known_rows = 0

    def begin(self, timeout_s: float) -> None:
        """Be the only import, and know what is stored."""
        self._sender.open()
        behind = wait_until_stored(self._settings, _TOPICS, timeout_s)
        if behind:
            raise CaptureError(
                f"the sinks are {behind} records behind, so it is not known what is stored already: start them "
                "(`mcenter sink`) or wait for them. Nothing was sent"
            )
        self._stored = is_known_mlapp(self._settings, self._mlapp_id)
        self._causes = frozenset(self._read_causes())

    def send(self, who: Author) -> dict[str, int]:
        """Send what is missing; records by table."""
        sent = {table.name: self._send_table(table) for table in IMPORTED_TABLES}
        if any(sent.values()):
            self._sender.send([self._action(who)])
        return sent

    def _send_table(self, table: ImportedTable) -> int:
        count = 0
        for chunk in _chunks(rows_by_record(self._folder, self._manifest, table.name)):
            count += self._sender.send(list(self._missing(table, chunk)))
            self._done += sum(len(rows) for rows in chunk)
            self._on_progress(min(1.0, self._done / self._total), table.name)
        return count

    def _missing(self, table: ImportedTable, chunk: Sequence[Sequence[Row]]) -> Iterator[Outgoing]:
        """Records of a chunk without the rows that are stored."""
        stored: dict[tuple[Any, ...], Any] = {}
        if self._stored:
            wanted = list({_identity(table, row) for rows in chunk for row in rows})
            stored = dict(stored_rows(self._settings, table.name, self._mlapp_id, table.identity, wanted))
        for rows in chunk:
            was_at = self._place(rows[0])
            known = [stored[identity] for row in rows if (identity := _identity(table, row)) in stored]
            self.known_rows += len(known)
            if known and was_at in self._causes:
                topic, partition, offset = known[0]
                self._sender.moved[was_at] = (topic.removeprefix(self._prefix), partition, offset)
            # A removed MLApp is no definition; its removal is not its history's end elsewhere.
            missing = [
                row for row in rows if _identity(table, row) not in stored and not row.get("is_deleted")
            ]
            if missing:
                yield self._outgoing(table, missing, was_at if was_at in self._causes else None)

    def _outgoing(self, table: ImportedTable, rows: Sequence[Row], was_at: Place | None) -> Outgoing:
        try:
            record = table.record([{**row, "mlapp_id": self._mlapp_id} for row in rows])
        except (KeyError, ValueError, TypeError) as error:
            raise not_a_row(table.name, error) from error
        if isinstance(record, UserAction):
            record = as_imported(record, self._manifest.capture_id)
        if hasattr(record, "cause"):
            record = dataclasses.replace(record, cause=self._moved(record.cause))
        if "mlapp" in getattr(record, "labels", ()):
            record = dataclasses.replace(record, labels={**record.labels, "mlapp": self._mlapp_id})
        key = table.topic.key(record)
        if table.topic is topics.MLAPPS:
            # The newest record of an MLApp's own key is the definition in force.
            key += f"/capture/{record.version}/{record.event_time_ms}".encode()
        return Outgoing(table.topic, key, record, was_at)

    def _moved(self, cause: RecordPosition) -> RecordPosition:
        """Where the record that caused a decision is here; what is not here is named as what it was."""
        if not cause.topic:
            return cause
        was_at = (cause.topic.removeprefix(self._manifest.topic_prefix), cause.partition, cause.offset)
        if found := self._sender.moved.get(was_at):
            return RecordPosition(topic=f"{self._prefix}{found[0]}", partition=found[1], offset=found[2])
        return dataclasses.replace(cause, topic=f"capture {self._manifest.capture_id}: {cause.topic}")

    def _place(self, row: Row) -> Place:
        return row["_topic"].removeprefix(self._manifest.topic_prefix), row["_partition"], row["_offset"]

    def _read_causes(self) -> Iterator[Place]:
        for name in ("alert_transitions", "deployment_transitions"):
            for rows in rows_by_record(self._folder, self._manifest, name):
                row = rows[0]
                topic = row["cause_topic"].removeprefix(self._manifest.topic_prefix)
                yield topic, row["cause_partition"], row["cause_offset"]

    def _action(self, who: Author) -> Outgoing:
        manifest = self._manifest
        record = new_action(
            IMPORT_ACTION,
            self._mlapp_id,
            who=who,
            target=manifest.capture_id,
            parameters={
                "mlapp_id": manifest.mlapp_id,
                "name": manifest.name,
                "start_ms": str(manifest.start_ms),
                "end_ms": str(manifest.end_ms),
                "created_by": manifest.created_by,
            },
        )
        return Outgoing(topics.ACTIONS, topics.ACTIONS.key(record), record)


def _chunks(groups: Iterator[list[Row]]) -> Iterator[list[list[Row]]]:
    """Records for one transaction each."""
    chunk: list[list[Row]] = []
    rows = 0
    for group in groups:
        chunk.append(group)
        rows += len(group)
        if len(chunk) >= _RECORDS_A_TRANSACTION or rows >= _ROWS_A_TRANSACTION:
            yield chunk
            chunk, rows = [], 0
    if chunk:
        yield chunk


def _identity(table: ImportedTable, row: Row) -> tuple[Any, ...]:
    try:
        return tuple(row[name] for name in table.identity)
    except KeyError as error:
        raise not_a_row(table.name, error) from error
