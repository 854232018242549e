"""The outputs under contract: in memory and on the real broker, each with what arrived as the same typed objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops.testing import Captured, Sample, capture
from tests.producers.conftest import COMPONENT_ENVIRONMENT, Component

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Expected:
    """How many of what a program reports: what is waited for."""

    samples: int = 0
    structured: int = 0
    events: int = 0
    kpis: int = 0
    models: int = 0


class OutputUnderTest(ABC):
    """Runs a component program, which finds ``mlops`` open, and says what arrived."""

    @abstractmethod
    def run(self, program: str, expected: Expected) -> Captured:
        """What arrived, in the order of each series; the program must end well."""


class InMemory(OutputUnderTest):
    """``parallelm.mlops.testing.capture``."""

    def run(self, program: str, expected: Expected) -> Captured:  # noqa: ARG002 - all has arrived at once
        with capture() as reported:
            exec(f"from parallelm.mlops import mlops\nmlops.init()\n{program}", {})  # noqa: S102 - a test's own
        return reported


class OnTheBroker(OutputUnderTest):
    """Mode agent, a process of its own, read back from the topics."""

    def __init__(self, component: Component) -> None:
        self._component = component

    def run(self, program: str, expected: Expected) -> Captured:
        self._component.run(f"from parallelm.mlops import mlops\nmlops.init()\n{program}")
        return Captured(
            samples=self._samples(expected.samples),
            structured=self._records("structured-statistics", expected.structured),
            events=self._records("events", expected.events),
            kpis=[
                point
                for batch in self._component.records(
                    "kpis", lambda found: sum(len(one.points) for one in found) >= expected.kpis
                )
                for point in batch.points
            ]
            if expected.kpis
            else [],
            models=self._records("models", expected.models),
        )

    def _records(self, topic: str, count: int) -> list[Any]:
        return self._component.records(topic, lambda found: len(found) >= count) if count else []

    def _samples(self, count: int) -> list[Sample]:
        batches = self._component.records(
            "statistics",
            lambda found: sum(len(series.values) for batch in found for series in batch.series) >= count,
        )
        return [
            Sample(
                name=series.name,
                value=value,
                time_ms=time_ms,
                labels=series.labels,
                model_id=series.model_id,
                category=series.category,
                graph_type=series.graph_type,
            )
            for batch in batches
            for series in batch.series
            for time_ms, value in zip(series.timestamps_ms, series.values, strict=True)
        ]


@pytest.fixture(params=["in memory", "on the broker"])
def output(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> OutputUnderTest:
    monkeypatch.chdir(tmp_path)
    if request.param == "on the broker":
        return OnTheBroker(request.getfixturevalue("component"))
    for name, value in COMPONENT_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PM_MLOPS_MODE", "stand_alone")
    return InMemory()
