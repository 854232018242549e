"""Workers of pools, of whatever library and start method: what they report arrives, however their pool ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from parallelm.supervision.die_with_parent import killed_with_us
from tests.producers.conftest import DEADLINE_S

if TYPE_CHECKING:
    from tests.producers.conftest import Component

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

TASKS = 18

POOL = """
import multiprocessing, sys
from parallelm.mlops import mlops

def work(number):
    if not mlops.init_called:
        mlops.init()
    mlops.set_stat("worked", float(number))

if __name__ == "__main__":
    if sys.argv[2] == "opened by the parent":
        mlops.init()
    with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:
        pool.map(work, range(18))
"""

EXECUTOR = """
import concurrent.futures, sys
from parallelm.mlops import mlops

def work(number):
    from parallelm.mlops import mlops
    if not mlops.init_called:
        mlops.init()
    mlops.set_stat("worked", float(number))

if __name__ == "__main__":
    if sys.argv[1] == "concurrent.futures":
        with concurrent.futures.ProcessPoolExecutor(3) as pool:
            list(pool.map(work, range(18)))
    else:
        import joblib
        joblib.Parallel(n_jobs=3, backend=sys.argv[1])(joblib.delayed(work)(number) for number in range(18))
"""

TERMINATED = """
import multiprocessing, re, sys, time
from parallelm.mlops import mlops

def work(ready, busy):
    mlops.init()
    mlops.set_stat("worked", 1.0)
    ready.set()
    if busy == "in C code":
        re.match(r"(a+)+$", "a" * 60 + "b")  # minutes, without a Python handler having a chance to run
    while True:
        time.sleep(0.01)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    worker = context.Process(target=work, args=(ready, sys.argv[1]))
    worker.start()
    ready.wait()
    worker.terminate()
    worker.join()
    print(worker.exitcode)
"""


def run(component: Component, program: str, *arguments: str, **environment: str) -> str:
    file = component.folder / "program.py"
    file.write_text(program)
    ran = subprocess.run(
        killed_with_us(sys.executable, str(file), *arguments),
        env=component.environment(**environment),
        cwd=component.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout


def worked(component: Component) -> list[float]:
    return sorted(value for _, value in component.samples("worked", TASKS))


@pytest.mark.parametrize("method", ["fork", "spawn", pytest.param("forkserver", marks=pytest.mark.long)])
def test_a_pool_that_terminates_its_workers_loses_nothing(component: Component, method: str) -> None:
    run(component, POOL, method, "opened by the worker")
    assert worked(component) == [float(number) for number in range(TASKS)]


def test_workers_forked_from_a_program_that_reports_lose_nothing(component: Component) -> None:
    run(component, POOL, "fork", "opened by the parent")
    assert worked(component) == [float(number) for number in range(TASKS)]


@pytest.mark.parametrize("library", ["concurrent.futures", "loky", "multiprocessing"])
def test_workers_of_other_pools_lose_nothing(component: Component, library: str) -> None:
    run(component, EXECUTOR, library)
    assert worked(component) == [float(number) for number in range(TASKS)]


@pytest.mark.parametrize("busy", ["in Python", "in C code"])
def test_a_terminated_worker_reports_and_ends_as_without_the_library(component: Component, busy: str) -> None:
    output = run(component, TERMINATED, busy)
    assert int(output) == -signal.SIGTERM
    assert len(component.samples("worked", 1)) == 1


def test_a_terminated_worker_ends_when_nothing_can_be_delivered(component: Component) -> None:
    output = run(
        component,
        TERMINATED,
        "in Python",
        MCENTER_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        MCENTER_COMPONENT_CLOSE_TIMEOUT_S="0.5",
    )
    assert int(output) == -signal.SIGTERM


OWN_HANDLER = """
import multiprocessing, signal, sys, time
from parallelm.mlops import mlops

def work(ready):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
    mlops.init()
    mlops.set_stat("worked", 1.0)
    ready.set()
    while True:
        time.sleep(0.01)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    worker = context.Process(target=work, args=(ready,))
    worker.start()
    ready.wait()
    worker.terminate()
    worker.join()
    print(worker.exitcode)
"""


def test_a_worker_that_handles_sigterm_itself_goes_on_doing_so(component: Component) -> None:
    output = run(component, OWN_HANDLER)
    assert int(output) == 5
    assert len(component.samples("worked", 1)) == 1


GRANDCHILD = """
import multiprocessing, os, signal, sys
from parallelm.mlops import mlops

def work(connection):
    mlops.init()
    mlops.set_stat("worked", 1.0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        mlops.set_stat("worked", 3.0)
        os.write(writer, b"reported")
        while True:
            signal.pause()
    os.read(reader, 8)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM
    mlops.set_stat("worked", 2.0)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=work, args=(None,))
    worker.start()
    worker.join()
    print(worker.exitcode)
"""


def test_a_signal_to_the_child_of_a_worker_does_not_end_the_worker(component: Component) -> None:
    assert int(run(component, GRANDCHILD)) == 0
    assert sorted(value for _, value in component.samples("worked", 3)) == [1.0, 2.0, 3.0]
