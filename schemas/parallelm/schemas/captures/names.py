"""Names of the members of a capture, and the columns of its CSV files, as the original platform wrote them."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

EXPORT: Final = "timeline-capture-export"
"""Folder with the files of the original platform; old programs read nothing else."""
OURS: Final = "mcenter-capture"
"""Folder with what the original did not have."""
MANIFEST: Final = f"{OURS}/manifest.json"
REPORT: Final = f"{OURS}/report.html"
DETAILS: Final = f"{EXPORT}/ion-details.txt"

STATISTICS_COLUMNS: Final = (
    "pipelineInstanceId", "time", "agentName", "appId", "graphType", "internal", "mode", "name", "value", "mlObjectId",
)  # fmt: skip
SYSTEM_COLUMNS: Final = (
    "pipelineInstanceId", "time", "agentName", "appId", "bytesRead", "bytesWritten", "executionCpuTime",
    "executorRunTime", "memoryBytesSpilled", "recordsRead", "recordsWritten", "stageId", "taskId",
)  # fmt: skip
EVENTS_COLUMNS: Final = (
    "time", "host", "eventId", "event", "eventType", "seq", "raiseAlert", "createdTime", "clearedTime", "deletedTime",
)  # fmt: skip
AGGREGATES_COLUMNS: Final = (
    "time", "ionName", "avgInferenceTime", "avgTrainingTime", "avgLatency", "dataAlerts", "mlAlerts", "mlHealth",
    "systemHealth", "totalDataProcessed", "totalModelsProduced", "totalModelsUpdated", "totalPredictions",
    "totalSamplesProcessed",
)  # fmt: skip


def table_member(table: str) -> str:
    """Parquet file of a table of the warehouse."""
    return f"{OURS}/tables/{table}.parquet"


def definition_member(version: int) -> str:
    """YAML file of a version of the MLApp."""
    return f"{OURS}/definitions/version-{version}.yaml"


def statistics_member(kind: str, mlapp_id: str, pipeline_instance_id: str, agent_id: str) -> str:
    """CSV file of statistics (``stats``) or system statistics (``sysstats``) of one pipeline instance on one host."""
    of, on = file_part(pipeline_instance_id), file_part(agent_id)
    return f"{EXPORT}/mlopsdb-Ion-{kind}-{file_part(mlapp_id)}-Instance-{of}-Agent-{on}.csv"


def events_member(mlapp_id: str) -> str:
    """CSV file of events."""
    return f"{EXPORT}/mlopsdb-events-{file_part(mlapp_id)}.csv"


def aggregates_member(mlapp_id: str) -> str:
    """CSV file of aggregates."""
    return f"{EXPORT}/mlopsdb-aggregates-{file_part(mlapp_id)}.csv"


def download_name(name: str, mlapp_id: str) -> str:
    """File name under which a capture is downloaded."""
    return f"timeline_capture_{file_part(name)}_{file_part(mlapp_id)}.tar"


_LONGEST_PART: Final = 80


def file_part(text: str) -> str:
    """A text as a part of a file name: percent-encoded and of bounded length; ``unknown`` when there is none."""
    encoded = quote(text, safe=" -_.,+=@()").strip(" .") or "unknown"
    return encoded if len(encoded) <= _LONGEST_PART else _shortened(text, encoded)


def _shortened(text: str, encoded: str) -> str:
    import hashlib

    return f"{encoded[: _LONGEST_PART - 17]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"
