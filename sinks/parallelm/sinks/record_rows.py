"""Rows of all topics but statistics: a ``TableSpec`` for each, filled column by column."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import DecodeError
from parallelm.schemas.times import is_time
from parallelm.schemas.well_known import TIME_BOUNDS
from parallelm.sinks.errors import InvalidRecordError
from parallelm.sinks.rows import Rejected, Rows, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelm.schemas.registry import Registry
    from parallelm.schemas.topics import Topic
    from parallelm.sinks.blocks import ConsumedRecord
    from parallelm.sinks.columns import Columns


@dataclass(frozen=True, slots=True)
class TableSpec:
    """How the records of one topic become rows of one table."""

    topic: Topic
    _: KW_ONLY
    table: str
    columns: Columns
    sources: Callable[[Any], Sequence[Any]] = lambda record: (record,)
    """Row sources of a record: by default itself, one row."""
    tombstone: Callable[[str, int], Sequence[Any]] | None = None
    """Row sources of a tombstone, from its key and arrival; None: tombstones make no row."""
    check: Callable[[Any], None] | None = None
    """Raises ``InvalidRecordError`` for a record that does not fit."""
    numbered: bool = False
    """True when a record makes several rows, numbered in ``_index``."""
    replaceable: bool = False
    """True for a ReplacingMergeTree, where a record repeated later takes the row's place."""

    @property
    def counted_in(self) -> str:
        """Table in which its rows are found."""
        return self.table

    def row_maker(self, registry: Registry) -> RecordRows:
        """What makes the rows."""
        return RecordRows(self, registry)


class RecordRows:
    """Makes the rows of one ``TableSpec``."""

    def __init__(self, spec: TableSpec, registry: Registry) -> None:
        self._spec = spec
        self._codec = Codec(registry)

    def rows(self, records: Sequence[ConsumedRecord], source: Source) -> Rows:
        """Rows of a block; see ``RowMaker``."""
        taken: list[Any] = []
        times: list[int] = []
        offsets: list[int] = []
        numbers: list[int] = []
        rejected: list[Rejected] = []
        for record in records:
            try:
                sources = self._sources(record)
                for each in sources:
                    self._check_times(each)
            except DecodeError as error:
                rejected.append(Rejected(record, "decode", error))
            except InvalidRecordError as error:
                rejected.append(Rejected(record, "validate", error))
            else:
                taken += sources
                times += [record.ingested_at_ms] * len(sources)
                offsets += [record.offset] * len(sources)
                numbers += range(len(sources))
        made = self._rows(source, taken, times, offsets, numbers)
        made.record_count, made.rejected = len(records), rejected
        return made

    def _rows(
        self,
        source: Source,
        taken: list[Any],
        times: list[int],
        offsets: list[int],
        numbers: list[int],
    ) -> Rows:
        spec = self._spec
        data = {name: list(map(getter, taken)) for name, getter in spec.columns.getters.items()}
        data["ingested_at"] = times
        data["_offset"] = offsets
        if spec.numbered:
            data["_index"] = numbers
        data["_topic"] = [source.topic] * len(taken)
        data["_topic_id"] = [source.topic_id] * len(taken)
        data["_partition"] = [source.partition] * len(taken)
        return Rows(
            table=spec.table,
            columns=tuple(data),
            data=list(data.values()) if taken else [],
            stored_rows=len(taken),
            record_count=0,
            replaceable=spec.replaceable,
        )

    def _sources(self, record: ConsumedRecord) -> Sequence[Any]:
        spec = self._spec
        if record.value is None:
            return spec.tombstone(_key_text(record), record.ingested_at_ms) if spec.tombstone else ()
        decoded: Any = self._codec.decode(record.value, spec.topic.record)
        if spec.check:
            spec.check(decoded)
        return spec.sources(decoded)

    def _check_times(self, source: Any) -> None:
        for column in self._spec.columns.times:
            found = self._spec.columns.getters[column](source)
            for time_ms in found if isinstance(found, list) else (found,):
                if not is_time(time_ms):
                    raise InvalidRecordError(
                        f"{column} is {time_ms}, which is outside the years {TIME_BOUNDS} in epoch milliseconds"
                    )


def _key_text(record: ConsumedRecord) -> str:
    try:
        return (record.key or b"").decode()
    except UnicodeDecodeError as error:
        raise InvalidRecordError(f"the key of a tombstone is not UTF-8: {error}") from error
