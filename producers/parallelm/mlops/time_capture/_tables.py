"""The CSV files of a capture as frames, checked row by row."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_LONGEST_FIELD = 2**31 - 1
"""By default the csv module accepts fields up to 128 KiB; graphs and histograms can be larger."""
_MISSING = {"", "NULL"}

STATISTICS = ("pipelineInstanceId", "time", "agentName", "graphType", "name", "value")
EVENTS = ("time", "host", "event", "eventType", "raiseAlert")
_NUMBERS = {
    "time", "bytesRead", "bytesWritten", "executionCpuTime", "executorRunTime", "memoryBytesSpilled", "recordsRead",
    "recordsWritten", "stageId", "taskId", "seq", "raiseAlert", "createdTime", "clearedTime", "deletedTime",
    "avgInferenceTime", "avgTrainingTime", "avgLatency", "dataAlerts", "mlAlerts", "mlHealth", "systemHealth",
    "totalDataProcessed", "totalModelsProduced", "totalModelsUpdated", "totalPredictions", "totalSamplesProcessed",
}  # fmt: skip


def read_rows(file: Path, needed: tuple[str, ...] = ("time",)) -> list[dict[str, str]]:
    """Rows of a CSV file with a header. Raises ``MLOpsException`` with the number of a broken line."""
    longest = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            header = next(reader, [])
            missing = [name for name in needed if name not in header]
            if missing:
                raise MLOpsException(f"{file.name} has no column {', '.join(missing)}")
            rows = []
            for fields in reader:
                if len(fields) != len(header):
                    raise MLOpsException(
                        f"{file.name}, line {reader.line_num}: {len(fields)} fields for {len(header)} columns"
                    )
                rows.append(dict(zip(header, fields, strict=True)))
            return rows
    except (OSError, ValueError, csv.Error) as error:
        raise MLOpsException(f"{file.name} of the capture cannot be read: {error}") from error
    finally:
        csv.field_size_limit(longest)


def read_table(file: Path, needed: tuple[str, ...] = ("time",)) -> pd.DataFrame:
    """A CSV file as a frame: its columns, numbers as numbers, and ``datetime`` (UTC) after ``time`` (ns)."""
    import pandas as pd

    rows = read_rows(file, needed)
    frame = pd.DataFrame(rows, dtype=object) if rows else pd.DataFrame(columns=list(needed), dtype=object)
    for name in _NUMBERS.intersection(frame.columns):
        try:
            given = frame[name]
            frame[name] = pd.to_numeric(given if name == "time" else given.where(~given.isin(_MISSING), None))
        except (ValueError, TypeError) as error:
            raise MLOpsException(f"{file.name}, column {name}: {error}") from error
    return with_datetime(frame, file.name)


def with_datetime(frame: pd.DataFrame, file_name: str) -> pd.DataFrame:
    """``frame`` with whole nanoseconds as ``time``, and a column ``datetime`` after it."""
    import pandas as pd

    try:
        frame["time"] = frame["time"].astype("int64")
        moments = pd.to_datetime(frame["time"], unit="ns")
    except (ValueError, TypeError, OverflowError) as error:
        raise MLOpsException(f"{file_name}, column time: {error}") from error
    frame.insert(list(frame.columns).index("time") + 1, "datetime", moments)
    return frame
