"""Every line of the contract, stand-alone and on the real stack: what becomes rows is what stand-alone prints."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from enum import Enum
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import parallelm.mlops
from parallelm.mlops._metrics import MLOpsMetrics
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats_category import StatCategory, StatsMode
from parallelm.schemas import topics
from parallelm.schemas.records import DeploymentState
from parallelm.supervision.die_with_parent import killed_with_us
from tests.conftest import settings_of_a_test
from tests.producers.conftest import running_platform
from tests.producers.contract.line import FIRST_MOMENT_S, MINUTE_S, THE_SAME, as_json
from tests.producers.contract.lines import LINES
from tests.producers.contract.model_lines import DEPLOYED_ID
from tests.producers.definitions import definition, transition
from tests.producers.reported import Reported, arrived, by_series, printed
from tests.waiting import PATIENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.connections import Settings
    from tests.made_once import MadeOnce

ROOT = Path(__file__).parents[3]
Walked = dict[str, tuple[str, str]]
"""What each line printed, and what it answered."""


@contextmanager
def walking(folder: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A component that walks the lines; where it has reported all of them it waits for a line from us."""
    with subprocess.Popen(
        killed_with_us(sys.executable, "-m", "tests.producers.contract.walk", str(folder / "walked.json")),
        env={**environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        limit = threading.Timer(180, process.kill)
        limit.start()
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "reported\n"
            yield process
            process.communicate("the rows are there\n")
        finally:
            limit.cancel()
            process.kill()
    assert process.returncode == 0


def of_walk(folder: Path) -> Walked:
    """The component's output for each line."""
    return {
        name: (text, answer)
        for name, (text, answer) in json.loads((folder / "walked.json").read_text()).items()
    }


@pytest.fixture(scope="module")
def stand_alone(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """With nothing but Python: a platform is neither named nor there."""
    folder = tmp_path_factory.mktemp("stand-alone")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MCENTER_", "PM_"))
    }
    with walking(
        folder,
        environment | {"AGENT_PUBLIC_ADDRESS": "host-1", "MCENTER_CLICKHOUSE_PORT": "1"},
    ):
        pass
    return of_walk(folder)


class Connected(NamedTuple):
    """A walk on the platform."""

    walked: Walked
    rows: dict[str, list[Reported]]
    """Of each line."""
    bins: list[Any]
    """Typed histograms: time in ms, statistic, feature, edges, categories, weights."""


@pytest.fixture(scope="module")
def connected(
    stack: Settings, made_once: MadeOnce, stand_alone: Walked, tmp_path_factory: pytest.TempPathFactory
) -> Connected:
    """What the lines answered on the platform, and their rows."""
    folder = tmp_path_factory.mktemp("connected")
    with (
        settings_of_a_test(stack, folder) as own,
        made_once.lent(own) as settings,
        running_platform(settings, folder) as platform,
    ):
        platform.produce(topics.MLAPPS, definition(), "app")
        expected = {name: becomes(name, stand_alone) for name in LINES}
        with walking(folder, platform.environment(**PATIENT)):
            arrived(
                platform, "train", [one for name in LINES if not LINES[name].asks for one in expected[name]]
            )
            platform.rows("SELECT name FROM models", lambda rows: len(rows) >= len(ModelFormat))
            platform.rows(
                f"SELECT feature FROM histograms WHERE model_id = '{DEPLOYED_ID}'",
                lambda rows: len(rows) == 2,
            )
            platform.produce(
                topics.DEPLOYMENTS, transition(DEPLOYED_ID, DeploymentState.REQUESTED, node_id="train"), "app"
            )
            platform.rows("SELECT 1 FROM deployment_transitions")
            platform.rows("SELECT 1 FROM mlapps")
        rows = arrived(platform, "train", [one for reports in expected.values() for one in reports])
        bins = platform.rows(
            """SELECT toUnixTimestamp64Milli(event_time), name, feature, edges, categories, weights FROM histograms
               ORDER BY ALL""",
            lambda found: len(found) >= len(printed_bins(stand_alone)),
        )
    of_line: dict[str, list[Reported]] = {name: [] for name in LINES}
    names = list(LINES)
    for row in rows:
        of_line[names[(row.time_ms // 1000 - FIRST_MOMENT_S) // MINUTE_S]].append(row)
    return Connected(of_walk(folder), of_line, bins)


def first_moment_ms(name: str) -> int:
    """When the minute of a line begins."""
    return (FIRST_MOMENT_S + list(LINES).index(name) * MINUTE_S) * 1000


def shown(line: str, moment_ms: int) -> str:
    """A stand-alone line without its time, or, where it is of another, with the distance."""
    if line.endswith(" "):
        time_ns, _, text = line[:-1].partition(", ")
        at_ms = int(time_ns) / 1e6
    else:
        found = re.search(r'"timestamp_ms": (\d+), ', line)
        assert found is not None
        text, at_ms = line.replace(found[0], ""), int(found[1])
    distance_s = (at_ms - moment_ms) / 1000
    return f"{distance_s:+g} s {text}" if distance_s else text


def becomes(name: str, stand_alone: Walked) -> list[Reported]:
    """What a line's rows must say: what stand-alone printed, and what the platform adds."""
    at_ns = first_moment_ms(name) * 1_000_000
    added = [
        text.replace('"alert_type"', f'"timestamp_ms": {at_ns // 1_000_000}, "alert_type"')
        if text[0].isdigit()
        else f"{at_ns}, {text} "
        for text in LINES[name].adds
    ]
    return printed(stand_alone[name][0] + "\n".join(added))


@pytest.mark.parametrize("name", LINES)
def test_a_line_stand_alone(name: str, stand_alone: Walked) -> None:
    line = LINES[name]
    text, answer = stand_alone[name]
    lines = [shown(found, first_moment_ms(name)) for found in text.splitlines()]
    expected = [line.prints] if isinstance(line.prints, str) else list(line.prints)
    assert answer == as_json(line.answers)
    assert len(lines) == len(expected)
    for found, wanted in zip(lines, expected, strict=True):
        assert found.startswith(wanted[:-1]) if wanted.endswith("…") else found == wanted


@pytest.mark.parametrize("name", LINES)
def test_a_line_on_the_platform(name: str, stand_alone: Walked, connected: Connected) -> None:
    line = LINES[name]
    text, answer = connected.walked[name]
    assert not text, "nothing is printed"
    assert answer == as_json(line.answers if line.connected is THE_SAME else line.connected)
    expected = by_series(becomes(name, stand_alone))
    found = by_series(one._replace(model_id="") for one in connected.rows[name])
    assert found == expected
    about_a_model = name.startswith("models.") or (line.asks and "distribution" in name)
    assert {bool(one.model_id) for one in connected.rows[name]} <= {about_a_model}


def printed_bins(stand_alone: Walked) -> list[Any]:
    """The bars of the printed distributions: time in ms, statistic, feature, names of the bars, weights."""
    return sorted(
        (one.time_ms, one.name, feature, *zip(*((*bar.items(),)[0] for bar in bars), strict=True))
        for name in LINES
        for one in becomes(name, stand_alone)
        if one.name in {"continuousDataHistogram", "categoricalDataHistogram"}
        for feature, bars in one.data.items()
    )


def test_the_typed_histograms_are_the_printed_bars(stand_alone: Walked, connected: Connected) -> None:
    arrived_bins = [
        (
            *place,
            tuple(f"{low} to {high}" for low, high in pairwise(edges)) or tuple(categories),
            tuple(weights),
        )
        for *place, edges, categories, weights in connected.bins
    ]
    assert arrived_bins == printed_bins(stand_alone)
    assert {len(weights) for *_, weights in arrived_bins} == {1, 2, 13}


# ---- no public name without a line ----------------------------------------------------------------------------------

REPORTED = (
    ClassificationMetrics,
    RegressionMetrics,
    ClusteringMetrics,
    ModelFormat,
    EventType,
    StatCategory,
    StatsMode,
    PredefinedStats,
    KpiValue,
)
"""Classes whose members make a difference to what is reported; of other constants only the values count (``test_names``)."""
WITH_ONE_UNDERSCORE = ["MLOps._set_test_mode", "MLOps._set_api_test_mode", "examples.utils._get_agent_id"]
OF_THE_LIBRARY = """
models.model.ModelReporter models.model.Model.new models.deployment.Deployment models.model.Artifact constants.Versions.check events.event_type.type_name events.event_type.type_number
packer.pack_directory stats.table.table_rows examples.ab_testing_base.ConversionTest
examples.utils.latest examples.utils.mode_of examples.utils.node_of examples.utils.option examples.utils.percent
examples.utils.running
"""
"""Names without an underscore that the library's own modules use of each other; components never did."""
ELSEWHERE = "MLOps.load_time_capture MLOps.predictions MLOps.actuals time_capture testing"
"""With tests of their own."""


def public_names() -> set[str]:
    """Functions, methods and properties of all modules without an underscore, and members of what is reported."""
    names = {*WITH_ONE_UNDERSCORE, *(f"metrics.{name}" for name in _members(MLOpsMetrics))}
    package = parallelm.mlops
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = found.name.removeprefix(f"{package.__name__}.")
        if not any(part.startswith("_") for part in module.split(".")):
            names |= {f"{module}.{name}" for name in _of_module(found.name)}
    return names | {f"MLOps.{name}" for name in _members(package.MLOps)}


def _of_module(module: str) -> set[str]:
    names = set()
    for name, member in vars(importlib.import_module(module)).items():
        if name.startswith("_") or getattr(member, "__module__", "") != module:
            continue
        if isinstance(member, FunctionType):
            names.add(name)
        elif isinstance(member, type) and not issubclass(member, Exception):
            of_class = {f"{name}.{of_it}" for of_it in _members(member)}
            names |= of_class or (set() if issubclass(member, Enum) else {name})
    return names - {"Constants"}


def _members(owner: type[Any]) -> set[str]:
    called = (FunctionType, classmethod, staticmethod, property, cached_property)
    return {
        name
        for base in owner.__mro__
        if base.__module__.startswith("parallelm")
        for name, member in vars(base).items()
        if not name.startswith("_") and (owner in REPORTED or isinstance(member, called))
    }


def test_every_public_name_has_a_line() -> None:
    elsewhere = f"{OF_THE_LIBRARY} {ELSEWHERE}".split()
    named = {name.partition(" ")[0] for name in LINES}
    without = {
        name
        for name in public_names() - named
        if not any(f"{name}.".startswith(f"{other}.") for other in elsewhere)
        and not name.endswith(".report")  # what an object hands to the library
    }
    assert not without
