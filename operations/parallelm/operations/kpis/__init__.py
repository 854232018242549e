"""Business KPIs: a CSV file becomes points, every mistake with its place, and the points go to their topic."""

from parallelm.operations.kpis.file import KpiFile, Mistake, read_kpi_file
from parallelm.operations.kpis.format import UNITS, AmbiguousTimes, KpiFileFormat, NonexistentTimes, latest_ms
from parallelm.operations.kpis.upload import UploadedKpi, upload_kpis

__all__ = [
    "UNITS",
    "AmbiguousTimes",
    "KpiFile",
    "KpiFileFormat",
    "Mistake",
    "NonexistentTimes",
    "UploadedKpi",
    "latest_ms",
    "read_kpi_file",
    "upload_kpis",
]
