"""The library in copies, pickles and worker processes: ``mlops`` is itself everywhere."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from parallelm.mlops import MLOps, mlops
from parallelm.mlops.events.event import Event
from parallelm.mlops.ion.ion import Agent, MLAppNode, Policy
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.testing import capture
from tests.producers.conftest import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.producers.conftest import Component

TRAVELS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),  # noqa: S301 - our own bytes
    "cloudpickle": lambda value: pickle.loads(cloudpickle.dumps(value)),  # noqa: S301 - our own bytes
}
travels = pytest.mark.parametrize("travel", TRAVELS.values(), ids=TRAVELS)


@travels
def test_the_one_instance_is_itself(travel: Callable[[Any], Any]) -> None:
    assert travel(mlops) is mlops
    assert travel({"in": [mlops]})["in"][0] is mlops
    with capture():
        assert travel(mlops) is mlops


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle_carries_it(protocol: int) -> None:
    assert pickle.loads(pickle.dumps(mlops, protocol)) is mlops  # noqa: S301 - our own bytes


@pytest.fixture
def reported() -> Iterator[Any]:
    with capture() as found:
        yield found


@travels
def test_what_users_are_given_reports_where_it_arrives(reported: Any, travel: Callable[[Any], Any]) -> None:
    model = mlops.Model("m", ModelFormat.TEXT)
    arrived = travel(model)
    assert arrived == model
    arrived.set_stat("of a model", 1)
    travel(mlops.series("loss", fold="3")).set(0.5)
    travel(mlops.set_stat)("bound", 2)
    assert [(one.name, one.value, one.model_id, dict(one.labels)) for one in reported.samples] == [
        ("of a model", 1.0, model.get_id(), {}),
        ("loss", 0.5, "", {"fold": "3"}),
        ("bound", 2.0, "", {}),
    ]
    travel(mlops.metrics).accuracy_score([1, 0], [1, 1])
    assert reported.values("Accuracy Score") == [0.5]


@travels
@pytest.mark.parametrize(
    "value",
    [MLAppNode("n", "id", pipeline_agent_set={"a": "p"}), Agent("a", "host"), Policy(0.2, 0.5, "MANUAL")],
    ids=lambda value: type(value).__name__,
)
def test_plain_objects_are_equal_where_they_arrive(value: object, travel: Callable[[Any], Any]) -> None:
    assert travel(value) == value


@travels
def test_an_event_arrives_whole(travel: Callable[[Any], Any]) -> None:
    event = Event("title", "words", {"a": [1]}, is_alert=True)
    assert travel(event).report(0) == event.report(0)


def test_another_instance_says_why_it_stays() -> None:
    other = MLOps()
    other.init()
    try:
        for value in (other, other.Model("m", ModelFormat.TEXT), other.series("loss")):
            for dumps in (pickle.dumps, cloudpickle.dumps):
                with pytest.raises(MLOpsException, match=r"only parallelm\.mlops\.mlops"):
                    dumps(value)
        with pytest.raises(MLOpsException, match="has state that exists once"):
            copy.deepcopy(other)
    finally:
        other.done()


WORKERS = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from joblib import Parallel, delayed
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat

def taking(library, model, series, number):
    library.set_stat("taken", number)
    model.set_stat("of a model", number)
    series.set(float(number))
    return model.get_id()

if __name__ == "__main__":
    mlops.init()
    model, series = mlops.Model("m", ModelFormat.TEXT), mlops.series("series", fold="1")
    if sys.argv[1] == "joblib":
        def closing(number):
            mlops.set_stat("closed over", number)
        Parallel(n_jobs=2)(delayed(closing)(number) for number in range(4))
        ids = Parallel(n_jobs=2)(delayed(taking)(mlops, model, series, number) for number in range(4))
    else:
        with ProcessPoolExecutor(2, multiprocessing.get_context(sys.argv[1])) as pool:
            arguments = zip(*((mlops, model, series, number) for number in range(4)))
            ids = list(pool.map(taking, *arguments))
    assert set(ids) == {model.get_id()}
    mlops.done()
"""


@pytest.mark.parametrize("workers", ["joblib", "spawn", "fork", "forkserver"])
def test_functions_that_take_the_library_along_report_from_worker_processes(
    component: Component, workers: str
) -> None:
    program = component.folder / "program.py"
    program.write_text(WORKERS)
    ran = subprocess.run(
        [sys.executable, str(program), workers],
        env=component.environment(),
        cwd=component.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert ran.returncode == 0, ran.stderr
    for name in ["taken", "of a model", "series"] + (["closed over"] if workers == "joblib" else []):
        assert sorted(value for _, value in component.samples(name, 4)) == [0.0, 1.0, 2.0, 3.0], name


def test_nothing_is_opened_by_a_program_that_loads_what_refers_to_the_library(component: Component) -> None:
    output = component.run("""
import pickle, subprocess, sys
from parallelm.mlops import mlops
mlops.init()
with open("handed.pickle", "wb") as file:
    pickle.dump(mlops.set_stat, file)
loader = "import pickle; set_stat = pickle.load(open('handed.pickle', 'rb')); print(set_stat.__self__.init_called)"
print(subprocess.run([sys.executable, "-c", loader], capture_output=True, text=True, check=True).stdout, end="")
mlops.done()
""")
    assert output == "False\n"


def test_workers_of_a_captured_component_print_and_send_nothing(component: Component) -> None:
    program = component.folder / "program.py"
    program.write_text("""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from parallelm.mlops import mlops
from parallelm.mlops.testing import capture

def report(library, number):
    library.set_stat("in a worker", number)
    return library.init_called

if __name__ == "__main__":
    with capture(), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(report, [mlops], [1])) == [True]
""")
    ran = subprocess.run(
        [sys.executable, str(program)], cwd=component.folder, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
