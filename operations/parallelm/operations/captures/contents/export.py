"""The files of the original platform: what old programs read of a capture."""

from __future__ import annotations

import csv
import io
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING, Any

from parallelm.schemas.captures import names
from parallelm.warehouse.queries.capture_export import (
    aggregates_by_day,
    export_events,
    export_numbers,
    export_structured,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from parallelm.connections import Settings
    from parallelm.operations.captures.contents.tar_writer import CaptureWriter
    from parallelm.warehouse.queries._blocks import Block
    from parallelm.warehouse.queries.captures import CaptureRange

_NS_A_MS = 1_000_000


def details(
    mlapp_id: str, definition: Mapping[str, Any] | None, instances: Sequence[Mapping[str, Any]]
) -> str:
    """Text of ``ion-details.txt``: a pipeline for each instance of a node that reported, else one with the node's id.

    ``definition`` is a row of ``mlapps``; None when the MLApp has none: its nodes are those that reported.
    """
    by_node: dict[str, list[str]] = {}
    for row in instances:
        by_node.setdefault(row["node_id"], []).append(row["pipeline_instance_id"])
    nodes = _nodes(definition) if definition else [(node, "offline", "auxiliary") for node in by_node]
    pipelines = ", ".join(
        f"PipelineID: {_word(instance)} GroupID: {_word(node)} Mode: {mode} Type: {kind}"
        for node, mode, kind in nodes
        for instance in by_node.get(node, [node])
    )
    policy = str(definition["model_policy"]).upper() if definition else "MANUAL"
    return f"WorkflowID: {_word(mlapp_id)} wfNodes: [{pipelines}], modelPolicy: {policy}"


def _nodes(definition: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    columns = (definition[f"nodes.{name}"] for name in ("node_id", "mode", "type"))
    return [(node, mode or "offline", kind) for node, mode, kind in zip(*columns, strict=True)]


def _word(text: str) -> str:
    """Without what separates words in this file."""
    return "".join("_" if char.isspace() or char in ",[]" else char for char in text)


def csv_line(cells: Sequence[Any]) -> bytes:
    """A line of CSV, every text quoted."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def write_statistics(
    settings: Settings, writer: CaptureWriter, chosen: CaptureRange, on_rows: Callable[[int], None]
) -> list[tuple[str, str]]:
    """Write a file of statistics for each pipeline instance and host, and one of system statistics, which we have none of.

    Returns instances and hosts; when nothing was reported, one empty file is written.
    """
    written = []
    header = csv_line(names.STATISTICS_COLUMNS)
    numbers, structured = (_pieces(each(settings, chosen)) for each in (export_numbers, export_structured))
    pieces = merge(numbers, structured, key=lambda piece: piece[0])
    for (instance, host), of_file in groupby(pieces, key=lambda piece: piece[0]):
        with writer.member(names.statistics_member("stats", chosen.mlapp_id, instance, host)) as member:
            member.write(header)
            for _, lines in of_file:
                member.write(b"".join(lines), len(lines))
                on_rows(len(lines))
        written.append((instance, host))
    if not written:
        writer.add(names.statistics_member("stats", chosen.mlapp_id, "", ""), header)
        written.append(("", ""))
    for instance, host in written:
        name = names.statistics_member("sysstats", chosen.mlapp_id, instance, host)
        writer.add(name, csv_line(names.SYSTEM_COLUMNS))
    return written


def _pieces(blocks: Iterable[Block]) -> Iterator[tuple[tuple[str, str], Sequence[bytes]]]:
    """Lines that belong to one file, in order."""
    for block in blocks:
        instances, hosts, lines = block.columns
        keys = zip(instances, hosts, strict=True)
        begin = 0
        for key, same in groupby(keys):
            count = sum(1 for _ in same)
            yield (_text(key[0]), _text(key[1])), lines[begin : begin + count]
            begin += count


def write_events(settings: Settings, writer: CaptureWriter, chosen: CaptureRange) -> None:
    """Write events, and the alerts that rules have raised."""
    with writer.member(names.events_member(chosen.mlapp_id)) as member:
        member.write(csv_line(names.EVENTS_COLUMNS))
        for block in export_events(settings, chosen):
            member.write(b"".join(block.columns[0]), block.rows)


def write_aggregates(settings: Settings, writer: CaptureWriter, chosen: CaptureRange, name: str) -> None:
    """Write what the MLApp had done by the end of each day of the range."""
    total: dict[str, float] = {}
    lines = [csv_line(names.AGGREGATES_COLUMNS)]
    for row in aggregates_by_day(settings, chosen):
        for column, count in row.items():
            total[column] = total.get(column, 0) + count
        cells = {
            "time": max(row["day_ms"], chosen.start_ms) * _NS_A_MS,
            "ionName": name,
            "dataAlerts": total["data_alerts"],
            "mlAlerts": total["health_alerts"],
            "totalModelsProduced": total["models_produced"],
            "totalModelsUpdated": total["models_updated"],
            "totalPredictions": total["predictions"],
            "totalSamplesProcessed": total["samples"],
        }
        lines.append(csv_line([cells.get(column, 0) for column in names.AGGREGATES_COLUMNS]))
    writer.add(names.aggregates_member(chosen.mlapp_id), b"".join(lines), len(lines) - 1)


def _text(data: Any) -> str:
    return data.decode(errors="replace") if isinstance(data, bytes) else str(data)
