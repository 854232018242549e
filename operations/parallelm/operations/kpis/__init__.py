"""Business KPIs: a CSV or Parquet file or a frame becomes points, every mistake with its place, and the points go to their topic."""

from parallelm.operations.kpis.file import KpiFile, Mistake, read_kpi_file
from parallelm.operations.kpis.format import UNITS, AmbiguousTimes, KpiFileFormat, NonexistentTimes, latest_ms
from parallelm.operations.kpis.frames import PARQUET_MAGIC, read_kpi_frame, read_kpi_parquet
from parallelm.operations.kpis.upload import (
    ChangedPoints,
    UploadedKpi,
    changed_points,
    upload_kpis,
    withdraw_kpis,
)

__all__ = [
    "PARQUET_MAGIC",
    "UNITS",
    "AmbiguousTimes",
    "ChangedPoints",
    "KpiFile",
    "KpiFileFormat",
    "Mistake",
    "NonexistentTimes",
    "UploadedKpi",
    "changed_points",
    "latest_ms",
    "read_kpi_file",
    "read_kpi_frame",
    "read_kpi_parquet",
    "upload_kpis",
    "withdraw_kpis",
]
