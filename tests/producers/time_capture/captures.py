"""Makes captures as the original platform exported them."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "timeline-capture-export"
T0_NS = 1_533_803_438_520_000_000
"""2018-08-09 08:30:38.52 UTC."""
SECOND_NS = 1_000_000_000

DETAILS = (
    "WorkflowID: app-1 wfNodes: [PipelineID: pipe-train GroupID: g1 Mode: offline Type: model_producer, "
    "PipelineID: pipe-infer GroupID: g1 Mode: offline Type: model_consumer], modelPolicy: ALWAYS_UPDATE"
)
TRAIN = "mlopsdb-Ion-stats-app-1-Instance-pipe-train-Agent-host-a.csv"
INFER = "mlopsdb-Ion-stats-app-1-Instance-pipe-infer-Agent-host-b.csv"
SYSTEM = "mlopsdb-Ion-sysstats-app-1-Instance-pipe-train-Agent-host-a.csv"
EVENTS = "mlopsdb-events-app-1.csv"
AGGREGATES = "mlopsdb-aggregates-app-1.csv"

# fmt: off
STATISTICS_HEADER = ["pipelineInstanceId", "time", "agentName", "appId", "graphType", "internal", "mode", "name", "value", "mlObjectId"]
SYSTEM_HEADER = ["pipelineInstanceId", "time", "agentName", "appId", "bytesRead", "bytesWritten", "executionCpuTime", "executorRunTime", "memoryBytesSpilled", "recordsRead", "recordsWritten", "stageId", "taskId"]
EVENTS_HEADER = ["time", "host", "eventId", "event", "eventType", "seq", "raiseAlert", "createdTime", "clearedTime", "deletedTime"]
AGGREGATES_HEADER = ["time", "ionName", "avgInferenceTime", "avgTrainingTime", "avgLatency", "dataAlerts", "mlAlerts", "mlHealth", "systemHealth", "totalDataProcessed", "totalModelsProduced", "totalModelsUpdated", "totalPredictions", "totalSamplesProcessed"]
# fmt: on

GRAPH = {
    "x_title": "share",
    "y_title": "hits",
    "x_axis_type": "Continuous",
    "x_axis_tick_postfix": "",
    "x_series": [1, 2, 3],
    "y_series": [{"label": "a", "data": [4, None, 6]}, {"label": "b", "data": [1, 2, 3]}],
    "x_annotation": [{"label": "cut", "value": 2}],
    "y_annotation": [{"label": "goal", "value": 5}],
}
DISTANCE = [
    {"-inf to -25.9763": 0.25},
    {"-25.9763 to -0.006699999999998596": 0.25},
    {"-0.006699999999998596 to 20.768980000000003": 0.25},
    {"20.768980000000003 to +inf": 0.25},
]


def at(second: int) -> int:
    return T0_NS + second * SECOND_NS


def statistic(second: int, graph_type: str, name: str, value: Any, node: str = "train") -> list[Any]:
    """A row of statistics; ``value`` as JSON, or as it is when it is text."""
    agent = {"train": "host-a", "infer": "host-b"}[node]
    text = value if isinstance(value, str) else json.dumps(value)
    mode = "TIME_SERIES" if "LINE" in graph_type else "INSTANT"
    return [f"pipe-{node}", at(second), agent, "job-1", graph_type, 0, mode, name, text, "NULL"]


def event(
    second: int, event_type: str, title: str, *, alert: bool = False, host: str = "host-a"
) -> list[Any]:
    milliseconds = at(second) // 1_000_000
    return [
        at(second),
        host,
        f"id-{second}",
        title,
        event_type,
        second,
        int(alert),
        milliseconds,
        milliseconds,
        0,
    ]


def table(header: list[str], rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    return text.getvalue()


def statistics(*rows: list[Any]) -> str:
    return table(STATISTICS_HEADER, list(rows))


def whole_capture() -> dict[str, str]:
    """Files with every graph type."""
    train = [
        statistic(0, "BARGRAPH", "distance", {"distance": DISTANCE}),
        statistic(1, "LINEGRAPH", "pipelinestat.WSSER", {"pipelinestat.WSSER": 1.0582779934606798e7}),
        statistic(2, "MATRIX", "confusion", {"0": {"0": 5, "1": 1}, "1": {"0": 2, "1": 7}}),
        statistic(3, "GENERAL_GRAPH", "lift", GRAPH),
        statistic(4, "KPI", "delay", {"delay": 12.5}),
        statistic(9, "KPI", "delay", {"delay": 11.5}),
        statistic(5, "OPAQUE", "blob", "gASVCg=="),
        statistic(5, "HTML", "page", "<p>hello, world</p>"),
        statistic(
            6,
            "BARGRAPH",
            "categoricalDataHistogram",
            {"carrier": [{"UA": 0.5}, {"B6": 0.5}], "day": [{"Mon": 1.0}]},
        ),
    ]
    infer = [
        statistic(0, "BARGRAPH", "distance", {"distance": DISTANCE}, "infer"),
        statistic(10, "LINEGRAPH", "pipelinestat.count", {"pipelinestat.count": 30000}, "infer"),
        statistic(20, "LINEGRAPH", "pipelinestat.count", {"pipelinestat.count": 60000}, "infer"),
        statistic(21, "MULTILINEGRAPH", "latency", {"median": 12.5, "worst": 81}, "infer"),
        statistic(22, "HEATMAP", "dataheatmap", {"distance": 0.5066, "pressure": 0.4944}, "infer"),
        statistic(23, "BARGRAPH", "PredictionHistogram", {"prediction": [{"0": 0.25}, {"1": 0.75}]}, "infer"),
    ]
    events = [
        event(0, "GenericEvent", "launched", host=""),
        event(5, "Model", "Model: 'm' generated, by \"train\"\nsecond line"),
        event(15, "Alert", 'ML Health Alert {"threshold":0.8}', alert=True, host="host-b"),
        event(16, "ModelAccepted", "updated", host="host-b"),
    ]
    system = [["pipe-train", at(1), "host-a", "job-1", 65536, 0, 322776147, 347, 0, 1, 0, 0, 0]]
    aggregates = [[at(1), "My App", "0.5", "0.0", "0.0", 0, 0, 0, 0, 0, 1, 1, "30000.0", "0.0"]]
    return {
        "ion-details.txt": DETAILS,
        TRAIN: statistics(*train),
        INFER: statistics(*infer),
        SYSTEM: table(SYSTEM_HEADER, system),
        EVENTS: table(EVENTS_HEADER, events),
        AGGREGATES: table(AGGREGATES_HEADER, aggregates),
    }


def write_tar(path: Path, files: dict[str, str], *, folder: str = FOLDER, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path
