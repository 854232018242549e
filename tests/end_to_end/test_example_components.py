"""The components in ``examples/components``, stand-alone and connected: what becomes rows is what stand-alone prints."""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.mlops.events.event_type import type_number
from tests.producers.conftest import ComponentOnPlatform, platform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest

__all__ = ["platform"]  # the fixture of the producers' tests

COMPONENTS = Path(__file__).parents[2] / "examples" / "components"
NUMERIC = {"LINEGRAPH", "MULTILINEGRAPH"}
PREDICTORS = {f"offer-{variant}": ["offer_predictor.py", "--variant", variant] for variant in "ab"}
EXAMPLES: dict[str, list[str]] = {
    "cells": ["classify_cells.py"],
    "diabetes": ["regress_diabetes.py"],
    "wines": ["cluster_wines.py"],
    "digits": ["boost_digits.py"],
    "orders": ["watch_orders.py"],
} | PREDICTORS


class Said(NamedTuple):
    """What a component reported, in comparable form; each list in order."""

    numbers: dict[tuple[str, str], list[str]]
    """By name and line; KPIs too."""
    structured: dict[str, list[Any]]
    events: list[Any]
    past: list[tuple[str, int]]
    """Name and event time in ms of the reports that were made for another day."""


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", COMPONENTS / command[0], *command[1:]],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def both_modes(
    platform: ComponentOnPlatform, jobs: Mapping[str, tuple[list[str], list[str]]]
) -> dict[str, Said]:
    """Run each job's stand-alone and connected command; what stand-alone printed, by node."""
    started_ns = time.time_ns()
    # One thread: sums in another order end in other digits.
    connected = platform.environment(PM_WORKFLOW_INSTANCE_ID="examples", OMP_NUM_THREADS="1")
    stand_alone = connected | {"PM_MLOPS_MODE": "stand_alone"}
    with ThreadPoolExecutor(2) as pool:

        def start(command: Sequence[str], node: str, environment: Mapping[str, str]) -> Future[str]:
            return pool.submit(run, command, platform.folder, {**environment, "PM_WORKFLOW_NODE_ID": node})

        printed = {node: start(alone, node, stand_alone) for node, (alone, _) in jobs.items()}
        sent = [start(command, node, connected) for node, (_, command) in jobs.items()]
        for job in sent:
            assert job.result() == ""
        return {node: lines_said(job.result(), started_ns) for node, job in printed.items()}


def lines_said(lines: str, started_ns: int) -> Said:
    said = Said(defaultdict(list), defaultdict(list), [], [])
    for line in lines.splitlines():
        if not line.endswith(" "):
            number, title, is_alert, text = line.split(", ", 3)
            data = json.loads(text)
            said.events.append(
                (int(number), title, is_alert == "True", data["description"] or "", data["data"])
            )
            continue
        time_ns, name, graph_type, mode, text = line[:-1].split(", ", 4)
        if int(time_ns) < started_ns:
            said.past.append((name, int(time_ns) // 1_000_000))
        if graph_type in NUMERIC:
            values = eval(text, {"nan": math.nan, "inf": math.inf})  # noqa: S307 - our own lines
            for label, value in values.items():
                key = (name, label if graph_type == "MULTILINEGRAPH" else "")
                said.numbers[key].append(repr(float(value)))
        else:
            said.structured[name].append((graph_type, mode, printed_data(graph_type, name, text)))
    return said


def printed_data(graph_type: str, name: str, text: str) -> Any:
    if graph_type == "MATRIX":
        return json.loads(text, object_pairs_hook=list)
    data = ast.literal_eval(text.removeprefix("OrderedDict"))
    return data[name] if graph_type in {"OPAQUE", "HTML"} else dict(data)


def arrived_data(graph_type: str, content_type: str, data: str) -> Any:
    if content_type != "application/json":
        return data
    return json.loads(data, object_pairs_hook=list if graph_type == "MATRIX" else None)


def rows_said(platform: ComponentOnPlatform, node: str, expected: Said) -> Said:
    """What a node's rows say, once there are as many as expected."""
    said = Said(defaultdict(list), defaultdict(list), [], [])
    where = f"WHERE node_id = '{node}' ORDER BY _partition, _offset"
    shared = "toUnixTimestamp64Milli(event_time)"
    is_past = {ms for _, ms in expected.past}
    samples = platform.rows(
        f"""SELECT * FROM (
                SELECT name, labels['line'], value, {shared} FROM statistics {where}, _series, _index
            ) UNION ALL SELECT * FROM (
                SELECT name, '', value, {shared} FROM kpis {where}, _index
            )""",
        lambda rows: len(rows) >= sum(map(len, expected.numbers.values())),
    )
    for name, line, value, _ in samples:
        said.numbers[name, line].append(repr(value))
    reports = platform.rows(
        f"SELECT name, graph_type, mode, content_type, data, {shared} FROM structured_statistics {where}",
        lambda rows: len(rows) >= sum(map(len, expected.structured.values())),
    )
    for name, graph_type, mode, content_type, data, _ in reports:
        said.structured[name].append((graph_type, mode, arrived_data(graph_type, content_type, data)))
    # A multi-line graph is one line stand-alone, and a series a line here.
    moments = {(name, row_ms) for name, *_, row_ms in (*samples, *reports) if row_ms in is_past}
    said.past.extend(sorted(moments))
    events = platform.rows(
        f"SELECT type, title, is_alert, description, data FROM events {where}",
        lambda rows: len(rows) >= len(expected.events),
    )
    said.events.extend(
        (type_number(kind), title, is_alert, description, json.loads(data) if data else None)
        for kind, title, is_alert, description, data in events
    )
    return said


def test_what_becomes_rows_is_what_stand_alone_prints(
    platform: ComponentOnPlatform, subtests: pytest.Subtests
) -> None:
    said = both_modes(platform, {node: (command, command) for node, command in EXAMPLES.items()})
    platform.rows(
        "SELECT sum(samples) FROM statistics_1h WHERE name = 'conversions'", lambda rows: rows == [(20,)]
    )
    totals = [
        str(int(float(said[node].numbers[total, ""][-1])))
        for node in PREDICTORS
        for total in ("samples", "conversions")
    ]
    comparator = ["compare_offers.py"]
    said |= both_modes(platform, {"compare": ([*comparator, "--totals", *totals], comparator)})

    for node, expected in said.items():
        with subtests.test(node):
            arrived = rows_said(platform, node, expected)
            assert arrived.numbers == expected.numbers
            assert arrived.structured == expected.structured
            assert Counter(map(repr, arrived.events)) == Counter(map(repr, expected.events))
            assert arrived.past == sorted(set(expected.past))

    with subtests.test("what the examples show"):
        assert sum(not line for _, line in said["cells"].numbers) >= 18
        assert {"Confusion Matrix", "ROC Curve", "Feature Importance"} <= said["cells"].structured.keys()
        assert len(said["digits"].numbers["validation auc", ""]) >= 10
        assert [event[1] for event in said["orders"].events if event[2]] == ["huge order", "disk"]
        assert len(said["orders"].past) > 40
        assert said["compare"].numbers["Success", ""] == ["1.0"]
        assert [event[1] for event in said["compare"].events] == ["AB Test"]

    with subtests.test("models"):
        models = platform.rows(
            "SELECT node_id, name, format, size_bytes > 0, length(sha256) FROM models ORDER BY node_id",
            lambda rows: len(rows) >= 2,
        )
        assert models == [
            ("cells", "cells", "ScikitLearn_3", 1, 64),
            ("digits", "eights", "Xgboost", 1, 64),
        ]
        carried = platform.rows(
            "SELECT DISTINCT node_id FROM histograms WHERE model_id IN (SELECT model_id FROM models) ORDER BY 1"
        )
        assert carried == [("cells",), ("digits",)]
