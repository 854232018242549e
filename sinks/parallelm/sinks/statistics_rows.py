"""Rows of ``mlops.statistics``: one a series and record, the samples as the bytes that they are on Kafka.

ClickHouse unfolds them (``statistics_from_landing``), so no code here touches single samples, except one check of the times.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.slicing import SlicedBatch, SlicedSeries, StatisticsDecoder
from parallelm.schemas.well_known import MAX_TIME_MS, MIN_TIME_MS, TIME_BOUNDS
from parallelm.sinks.blocks import BYTES_PER_SAMPLE
from parallelm.sinks.errors import InvalidRecordError
from parallelm.sinks.rows import Rejected, Rows, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.schemas.registry import Registry
    from parallelm.sinks.blocks import ConsumedRecord

STORED_IN = "statistics"
_BATCH_FIELDS = SlicedBatch._fields[: SlicedBatch._fields.index("series")]
_SERIES_FIELDS = SlicedSeries._fields[: SlicedSeries._fields.index("labels")]
_BATCH_COUNT, _SERIES_COUNT = len(_BATCH_FIELDS), len(_SERIES_FIELDS)
_COLUMNS = (
    *_BATCH_FIELDS,
    "ingested_at_ms",
    "_offset",
    *_SERIES_FIELDS,
    "labels_json",
    "timestamps_ms",
    "sample_values",
    "_series",
    "_topic",
    "_topic_id",
    "_partition",
)
_TIMESTAMPS = _COLUMNS.index("timestamps_ms")
_VALUE_BYTES = BYTES_PER_SAMPLE // 2
_LABELS_CACHED = 10_000

_Row = tuple[Any, ...]


class StatisticsRows:
    """Makes the rows of the landing table."""

    def __init__(self, registry: Registry) -> None:
        self._decoder = StatisticsDecoder(registry)
        self._labels: dict[tuple[tuple[bytes, bytes], ...], bytes] = {}

    def rows(self, records: Sequence[ConsumedRecord], source: Source) -> Rows:
        """Rows of a block; see ``RowMaker``. Tombstones make none."""
        made, rejected = self._decoded(records)
        joined = b"".join([row[_TIMESTAMPS] for _, rows in made for row in rows])
        if not times_fit(joined):
            made, misfits = _without_misfits(made)
            rejected += misfits
            joined = b"".join([row[_TIMESTAMPS] for _, rows in made for row in rows])
        flat = [row for _, rows in made for row in rows]
        constants = (
            [source.topic] * len(flat),
            [source.topic_id] * len(flat),
            [source.partition] * len(flat),
        )
        return Rows(
            table="statistics_landing",
            stored_in=STORED_IN,
            columns=_COLUMNS,
            data=[*zip(*flat, strict=True), *constants] if flat else [],
            stored_rows=len(joined) // _VALUE_BYTES,
            rejected=rejected,
        )

    def _decoded(
        self, records: Sequence[ConsumedRecord]
    ) -> tuple[list[tuple[ConsumedRecord, list[_Row]]], list[Rejected]]:
        made = []
        rejected = []
        for record in records:
            if record.value is None:
                continue
            try:
                made.append((record, self._series_rows(record, self._decoder.decode(record.value))))
            except DecodeError as error:
                rejected.append(Rejected(record, "decode", error))
            except InvalidRecordError as error:
                rejected.append(Rejected(record, "validate", error))
        return made, rejected

    def _series_rows(self, record: ConsumedRecord, batch: SlicedBatch) -> list[_Row]:
        head = (*batch[:_BATCH_COUNT], record.ingested_at_ms, record.offset)
        rows: list[_Row] = []
        for number, series in enumerate(batch.series):
            timestamps, values = series.timestamps_ms, series.values
            if len(timestamps) != len(values):
                raise InvalidRecordError(
                    f"series {number} ({series.name.decode(errors='replace')!r}) has "
                    f"{len(timestamps) // _VALUE_BYTES} timestamps and {len(values) // _VALUE_BYTES} values"
                )
            rows.append(
                (*head, *series[:_SERIES_COUNT], self._labels_json(series.labels), timestamps, values, number)
            )
        return rows

    def _labels_json(self, labels: dict[bytes, bytes]) -> bytes:
        if not labels:
            return b"{}"
        key = tuple(labels.items())
        found = self._labels.get(key)
        if found is None:
            if len(self._labels) >= _LABELS_CACHED:
                self._labels.clear()
            decoded = {name.decode(): value.decode() for name, value in key}
            found = self._labels[key] = json.dumps(decoded, ensure_ascii=False, sort_keys=True).encode()
        return found


def times_fit(timestamps_ms: bytes) -> bool:
    """Whether all little-endian float64 are finite and within what DateTime64 holds."""
    times = np.frombuffer(timestamps_ms, "<f8")
    # Comparisons with NaN are false, so NaN is refused as well.
    return bool(times.size == 0 or (times.min() >= MIN_TIME_MS and times.max() <= MAX_TIME_MS))


def _without_misfits(
    made: list[tuple[ConsumedRecord, list[_Row]]],
) -> tuple[list[tuple[ConsumedRecord, list[_Row]]], list[Rejected]]:
    fitting = []
    rejected = []
    for record, rows in made:
        misfit = next((row for row in rows if not times_fit(row[_TIMESTAMPS])), None)
        if misfit is None:
            fitting.append((record, rows))
        else:
            rejected.append(Rejected(record, "validate", _time_error(misfit)))
    return fitting, rejected


def _time_error(row: _Row) -> InvalidRecordError:
    times = np.frombuffer(row[_TIMESTAMPS], "<f8")
    wrong = times[~((times >= MIN_TIME_MS) & (times <= MAX_TIME_MS))]
    name = row[_COLUMNS.index("name")].decode(errors="backslashreplace")
    return InvalidRecordError(
        f"statistic {name!r}: {wrong.size} of {times.size} timestamps are outside the years {TIME_BOUNDS} in epoch "
        f"milliseconds; the first is {float(wrong[0])!r}"
    )
