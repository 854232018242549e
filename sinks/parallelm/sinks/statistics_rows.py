"""Rows of ``mlops.statistics``: one a sample, in ClickHouse's own column form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.layouts import LayoutReader
from parallelm.schemas.well_known import MAX_TIME_MS, MIN_TIME_MS, TIME_BOUNDS
from parallelm.sinks.errors import InvalidRecordError
from parallelm.sinks.rows import Rejected, Rows, Source
from parallelm.sinks.sample_block import SampleBlock

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from parallelm.schemas.registry import Registry
    from parallelm.sinks.blocks import ConsumedRecord

TABLE = "statistics"
ARRAYS = "statistics_arrays"
"""Entrance of ``TABLE`` for blocks whose series have many samples a record."""


class StatisticsRows:
    """Makes the rows of ``statistics``."""

    def __init__(self, registry: Registry) -> None:
        self._reader = LayoutReader(registry)

    def rows(self, records: Sequence[ConsumedRecord], source: Source) -> Rows:
        """Rows of as many records as fit one insert; see ``RowMaker``. Tombstones make none."""
        block, rejected, count = self._block(records)
        times = block.timestamps_ms()
        if not times_fit(times):
            # One bad time is rare: only then are records looked at one by one.
            misfits = {
                record.offset: Rejected(record, "validate", self._time_error(record))
                for record in block.records_of(_outside(times))
            }
            block, others, _ = self._block([each for each in records[:count] if each.offset not in misfits])
            times = block.timestamps_ms()
            rejected = [*others, *misfits.values()]
        native, into = None, TABLE
        if block.samples:
            columns = block.columns(times)
            into = ARRAYS if columns.is_dense else TABLE
            native = columns.arrays(source) if columns.is_dense else columns.rows(source)
        return Rows(
            table=TABLE,
            into=into,
            columns=tuple(column.name for column in native.columns) if native else (),
            data=native or (),
            stored_rows=block.samples,
            rejected=rejected,
            record_count=count,
        )

    def _block(self, records: Sequence[ConsumedRecord]) -> tuple[SampleBlock, list[Rejected], int]:
        """The block, what was left out of it, and how many of the records these are."""
        block = SampleBlock()
        rejected: list[Rejected] = []
        for number, record in enumerate(records):
            if record.value is None:
                continue
            try:
                if not block.add(self._reader.read(record.value, record.key), record):
                    return block, rejected, number
            except DecodeError as error:
                rejected.append(Rejected(record, "decode", error))
            except InvalidRecordError as error:
                rejected.append(Rejected(record, "validate", error))
        return block, rejected, len(records)

    def _time_error(self, record: ConsumedRecord) -> InvalidRecordError:
        cut = self._reader.read(record.value or b"", record.key)
        every = [np.frombuffer(stamps, "<f8") for stamps in cut.timestamps_ms]
        number = next(number for number, times in enumerate(every) if not times_fit(times))
        name, times = cut.contents.series[number].name, every[number]
        wrong = times[_outside(times)]
        return InvalidRecordError(
            f"statistic {name.decode(errors='backslashreplace')!r}: {wrong.size} of {times.size} timestamps are "
            f"outside the years {TIME_BOUNDS} in epoch milliseconds; the first is {float(wrong[0])!r}"
        )


def times_fit(times_ms: npt.NDArray[np.float64]) -> bool:
    """Whether all are finite and within what DateTime64 holds."""
    # Comparisons with NaN are false, so NaN is refused as well.
    return bool(times_ms.size == 0 or (times_ms.min() >= MIN_TIME_MS and times_ms.max() <= MAX_TIME_MS))


def _outside(times_ms: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    fits: npt.NDArray[np.bool_] = (times_ms >= MIN_TIME_MS) & (times_ms <= MAX_TIME_MS)
    return ~fits
