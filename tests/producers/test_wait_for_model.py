"""A component waits for a model: it is told which deployment it got, and never gets one that is not for it."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mlops import MLOps
from parallelm.mlops._models import waiting
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException
from parallelm.mlops.models.model import Model, ModelFormat, ModelMetadata
from parallelm.schemas.records import DeploymentState
from tests.producers.test_deployed_models import TRAIN, MLApp, mlapp, platform_of_the_module

if TYPE_CHECKING:
    from pathlib import Path

    from tests.producers.conftest import Component

__all__ = ["mlapp", "platform_of_the_module"]
START = """
import json, signal, sys, threading, time
from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsConnectionException
mlops.init()
started = time.monotonic()
def told(model):
    deployment = model.deployment
    return [model.get_id(), deployment.deployment_id, deployment.attempt, deployment.state, deployment.reason]
"""


def component(lines: str) -> str:
    return START + lines + "\nif mlops.init_called:\n    mlops.done()\n"


def comes(file: Path, component: threading.Thread) -> None:
    """Wait for a file that a component writes."""
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, file
        assert component.is_alive()
        component.join(0.05)


def test_a_component_that_waits_gets_the_model_once_it_is_deployed_with_its_histograms(mlapp: MLApp) -> None:
    waits = component("""
Path = __import__("pathlib").Path
Path("waits").touch()
model = mlops.wait_for_model(100, name="trees", histograms=True)
print(json.dumps(told(model)))
model.download("taken.txt")
print(mlops.wait_for_model(0.5))
""")
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(mlapp.run(waits, PM_WORKFLOW_NODE_ID="predict")))
    thread.start()
    comes(mlapp.folder / "waits", thread)
    model_id = mlapp.run(TRAIN).strip()
    mlapp.deploys(model_id, DeploymentState.REQUESTED, attempt=4)
    thread.join(110)
    (answer,) = answers
    first, again = answer.splitlines()
    assert json.loads(first) == [model_id, f"{model_id}-predict", 4, "requested", "newest model"]
    assert again == "None", "it has that model"
    (accepted,) = mlapp.records("events", bool)
    assert json.loads(accepted.data)["deployment_id"] == f"{model_id}-predict"


def test_a_roll_back_and_a_deployment_anew_are_answers_and_what_is_held_is_none(mlapp: MLApp) -> None:
    first, second = mlapp.run(TRAIN).strip(), mlapp.run(TRAIN).strip()
    mlapp.rows(f"SELECT count() FROM models WHERE mlapp_id = '{mlapp.mlapp_id}'", lambda rows: rows == [(2,)])
    mlapp.deploys(first, DeploymentState.ACTIVE)
    mlapp.deploys(second, DeploymentState.REQUESTED, attempt=2)
    ask = component("""
from pathlib import Path
def next_deployed(number):
    print(json.dumps(told(model := mlops.wait_for_model(100))[:3]), flush=True)
    model.download("taken.txt")
    assert mlops.wait_for_model(0) is None
    assert mlops.wait_for_model(0, newer_than=model) is None
    assert mlops.wait_for_model(0, newer_than=None) == model
    Path(f"has-{number}").touch()
for number in (1, 2, 3, 4):
    next_deployed(number)
""")
    answers: list[str] = []
    mlapp.rows(
        f"SELECT count() FROM deployment_transitions WHERE mlapp_id = '{mlapp.mlapp_id}'",
        lambda r: r == [(2,)],
    )
    thread = threading.Thread(target=lambda: answers.append(mlapp.run(ask, PM_WORKFLOW_NODE_ID="predict")))
    thread.start()
    comes(mlapp.folder / "has-1", thread)
    mlapp.deploys(second, DeploymentState.ROLLED_BACK, attempt=2)
    comes(mlapp.folder / "has-2", thread)
    mlapp.deploys(first, DeploymentState.REQUESTED, attempt=3, deployment_id="third")
    comes(mlapp.folder / "has-3", thread)
    mlapp.deploys(first, DeploymentState.REQUESTED, attempt=4, deployment_id="fourth")
    thread.join(110)
    (answer,) = answers
    assert [json.loads(line) for line in answer.splitlines()] == [
        [second, f"{second}-predict", 2],
        [first, f"{first}-predict", 1],
        [first, "third", 3],
        [first, "fourth", 4],
    ]


def test_waiting_ends_at_its_limit_by_done_and_by_a_signal(mlapp: MLApp) -> None:
    output = mlapp.run(
        component("""
limits = []
def timed(call):
    before = time.monotonic()
    answer = call()
    limits.append(time.monotonic() - before)
    return answer
assert timed(lambda: mlops.wait_for_model(0.5)) is None
def interrupt():
    try:
        mlops.wait_for_model(100)
    except KeyboardInterrupt:
        return "interrupted"
threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT)).start()
signal.signal(signal.SIGINT, signal.default_int_handler)
assert timed(interrupt) == "interrupted"
threading.Timer(0.5, mlops.done).start()
assert timed(lambda: mlops.wait_for_model(100)) is None
print(json.dumps(limits))
"""),
        PM_WORKFLOW_NODE_ID="predict",
    )
    at_limit, by_signal, by_done = json.loads(output)
    assert 0.5 <= at_limit < 20
    assert max(by_signal, by_done) < 50


@pytest.mark.parametrize("suppress", [True, False])
def test_a_platform_that_stays_away_is_an_error_at_the_limit(component: Component, suppress: bool) -> None:
    nowhere = dataclasses.replace(component.settings.clickhouse, host="127.0.0.1", port=1)
    settings = dataclasses.replace(component.settings, clickhouse=nowhere)
    output = dataclasses.replace(component, settings=settings).run(
        START
        + f"""
mlops.suppress_connection_errors({suppress})
try:
    answer = repr(mlops.wait_for_model(1))
except MLOpsConnectionException as error:
    answer = str(error)
print(json.dumps([time.monotonic() - started, answer]))
mlops.done()
"""
    )
    took_s, answer = json.loads(output)
    assert 1 <= took_s < 20
    assert answer == "None" if suppress else "127.0.0.1:1" in answer


def test_stand_alone_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PM_MLOPS_MODE", raising=False)
    monkeypatch.setenv("PM_MLOPS_FILE", str(tmp_path / "lines"))
    library = MLOps()
    library.init()
    started = time.monotonic()
    assert library.wait_for_model(60) is None
    assert time.monotonic() - started < 30
    for timeout in (-1, float("nan"), float("inf"), "5", None):
        with pytest.raises(MLOpsException, match="timeout of wait_for_model"):
            library.wait_for_model(timeout)  # type: ignore[arg-type]
    for newer_than in ("m-1", 7):
        with pytest.raises(MLOpsException, match="newer_than must be"):
            library.wait_for_model(0, newer_than=newer_than)  # type: ignore[arg-type]
    with pytest.raises(MLOpsException, match="not month"):
        library.wait_for_model(0, month="2013-06")
    with pytest.raises(MLOpsException, match="must be a dict"):
        library.wait_for_model(0, annotations=["month"])  # type: ignore[arg-type]
    library.done()


class Clock(threading.Event):
    """A clock that a wait moves on, and that is an event which nobody sets."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pauses.append(timeout)
        self.now_s += timeout
        return False


@given(st.floats(0, 10_000), st.floats(0, 3))
def test_pauses_grow_with_the_wait_and_the_last_question_is_at_the_limit(
    limit_s: float, takes_s: float
) -> None:
    clock = Clock()
    asked: list[float] = []

    def ask(left_s: float) -> Model | None:
        asked.append(left_s)
        clock.now_s += min(takes_s, 1)
        return None

    assert waiting.wait(ask, limit_s, clock, lambda: clock.now_s) is None
    assert limit_s <= clock.now_s + 1e-6
    assert clock.now_s <= limit_s + 1 + 1e-6
    assert asked[0] == limit_s
    assert all(0 < pause <= waiting.LONGEST_PAUSE_S for pause in clock.pauses)
    assert len(asked) <= 90 + limit_s / waiting.LONGEST_PAUSE_S


def test_a_platform_that_comes_back_while_a_component_waits_is_no_error() -> None:
    clock = Clock()
    model = Model(None, ModelMetadata("m-1", "m", ModelFormat.TEXT))  # type: ignore[arg-type] - not asked to report

    def ask(left_s: float) -> Model | None:
        if left_s > 5:
            raise MLOpsConnectionException("away")
        return model

    assert waiting.wait(ask, 10, clock, lambda: clock.now_s) is model


@pytest.mark.parametrize(
    ("wanted", "accepted"),
    [
        (waiting.Wanted(), True),
        (waiting.Wanted(name="m"), True),
        (waiting.Wanted(name="n"), False),
        (waiting.Wanted(annotations={"month": "2013-06"}), True),
        (waiting.Wanted(annotations={"month": "2013-07"}), False),
        (waiting.Wanted(annotations={"month": "2013-06", "trees": None}), False),
    ],
)
def test_filters(wanted: waiting.Wanted, accepted: bool) -> None:
    model = Model(None, ModelMetadata("m-1", "m", ModelFormat.TEXT))  # type: ignore[arg-type] - not asked to report
    model.set_annotations({"month": "2013-06", "rows": 3})
    assert wanted.accepts(model) is accepted
