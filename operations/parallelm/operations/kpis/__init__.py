"""Business KPIs: a CSV or Parquet file or a frame becomes points, every mistake with its place, and the points go to their topic."""

from parallelm.operations.kpis.alike import AlikeMistakes, alike
from parallelm.operations.kpis.file import KpiFile, Mistake, read_kpi_file
from parallelm.operations.kpis.format import UNITS, AmbiguousTimes, KpiFileFormat, NonexistentTimes, latest_ms
from parallelm.operations.kpis.frames import PARQUET_MAGIC, read_kpi_frame, read_kpi_parquet
from parallelm.operations.kpis.reading import PointsFile, columns_of, format_of, read_points_of, refusal_of
from parallelm.operations.kpis.upload import (
    ChangedPoints,
    UploadedKpi,
    changed_points,
    last_points,
    summarize,
    upload_kpis,
    withdraw_kpis,
    withdraw_rows,
)

__all__ = [
    "PARQUET_MAGIC",
    "UNITS",
    "AlikeMistakes",
    "AmbiguousTimes",
    "ChangedPoints",
    "KpiFile",
    "KpiFileFormat",
    "Mistake",
    "NonexistentTimes",
    "PointsFile",
    "UploadedKpi",
    "alike",
    "changed_points",
    "columns_of",
    "format_of",
    "last_points",
    "latest_ms",
    "read_kpi_file",
    "read_kpi_frame",
    "read_kpi_parquet",
    "read_points_of",
    "refusal_of",
    "summarize",
    "upload_kpis",
    "withdraw_kpis",
    "withdraw_rows",
]
