"""The library is a guest in its host program: forks, threads, exits, a second init; nothing lost, nothing held up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.producers.conftest import DEADLINE_S
from tests.producers.unused_port import address_of, unused_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.producers.conftest import Component

PATIENCE_OF_A_SOCKET_S = 5.0
"""Less than any client waits for an answer."""


def test_importing_and_standing_alone_need_the_standard_library_only(tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            """
import sys
before = set(sys.modules)
from parallelm.mlops import mlops
imported = set(sys.modules) - before
heavy = {"asyncio", "multiprocessing", "socket", "ssl", "tomllib", "hashlib", "tarfile", "inspect", "email", "http"}
assert not imported & heavy, imported & heavy
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.table import Table
mlops.init()
mlops.set_stat("x", 1.5)
mlops.set_stat(Table().name("t").cols(["a"]).add_row([1]))
mlops.data_alert("title", "d", {"v": 1})
mlops.set_kpi("k", 1)
open("m.txt", "w").write("m")
model = mlops.Model("m", ModelFormat.TEXT)
model.set_model_path("m.txt")
mlops.publish_model(model)
mlops.done()
foreign = {name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names}
foreign = {name for name in foreign if name.partition(".")[0] != "parallelm"}
assert not foreign, foreign
rooms = {name for name in sys.modules if name.startswith(("parallelm.schemas", "parallelm.connections"))}
assert rooms <= {f"parallelm.schemas{name}" for name in ("", ".series_key", ".times", ".well_known")}, rooms
""",
        ],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_thirty_two_threads_lose_nothing(component: Component) -> None:
    component.run("""
import threading
from parallelm.mlops import mlops
mlops.init()
def report(thread):
    for number in range(2000):
        mlops.set_stat("x", float(thread * 2000 + number))
threads = [threading.Thread(target=report, args=(thread,)) for thread in range(32)]
for thread in threads: thread.start()
for thread in threads: thread.join()
mlops.done()
assert mlops.dropped() == {}
""")
    values = [value for _, value in component.samples("x", 64_000)]
    assert sorted(values) == [float(number) for number in range(64_000)]


FORKED = """
import os, sys
from parallelm.mlops import mlops
mlops.init()
parent_reports = {parent_reports}
if parent_reports:
    for number in range(1000):
        mlops.set_stat("parent", 1.0)
handle = mlops.series("handle")
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        for number in range(100):
            mlops.set_stat("child", float(child * 100 + number))
        handle.set(1.0)
        mlops.data_alert(f"child {{child}}", "")
        sys.exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
if parent_reports:
    mlops.set_stat("parent", 2.0)
mlops.done()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("parent_reports", [True, False])
def test_forked_children_report_once_and_by_themselves(component: Component, parent_reports: bool) -> None:
    component.run(FORKED.format(parent_reports=parent_reports))
    assert sorted(value for _, value in component.samples("child", 300)) == [float(n) for n in range(300)]
    assert len(component.samples("handle", 3)) == 3
    alerts = component.records("events", lambda found: len(found) >= 3)
    assert sorted(alert.title for alert in alerts) == ["child 0", "child 1", "child 2"]
    assert len({alert.producer_id for alert in alerts}) == 3
    if parent_reports:
        assert Counter(value for _, value in component.samples("parent", 1001)) == {1.0: 1000, 2.0: 1}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_report(component: Component, method: str) -> None:
    program = component.folder / "program.py"
    program.write_text("""
import multiprocessing, sys
from parallelm.mlops import mlops

def work(number):
    mlops.init()
    mlops.set_stat("worked", float(number))

if __name__ == "__main__":
    mlops.init()
    mlops.set_stat("main", 1.0)
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=work, args=(number,)) for number in range(3)]
    for child in children: child.start()
    for child in children: child.join(); assert child.exitcode == 0
    mlops.done()
""")
    ran = subprocess.run(
        [sys.executable, str(program), method],
        env=component.environment(),
        cwd=component.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert ran.returncode == 0, ran.stderr
    assert sorted(value for _, value in component.samples("worked", 3)) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "ending", ["", "sys.exit(3)", "raise RuntimeError('of the user')", "raise KeyboardInterrupt"]
)
def test_an_exit_without_done_loses_nothing(component: Component, ending: str) -> None:
    with component.start(f"""
import sys
from parallelm.mlops import mlops
mlops.init()
for number in range(1000):
    mlops.set_stat("x", 1.0)
mlops.data_alert("last words", "")
{ending}
""") as process:
        process.communicate(timeout=DEADLINE_S)
    assert len(component.samples("x", 1000)) == 1000
    assert len(component.records("events", bool)) == 1


@pytest.mark.parametrize("killed", [False, True], ids=["os._exit", "SIGTERM"])
def test_a_sudden_end_loses_what_was_reported_just_before_it_at_most(
    component: Component, killed: bool
) -> None:
    with component.start("""
import os, sys
from parallelm.mlops import mlops
mlops.init()
mlops.set_stat("early", 1.0)
sys.stdin.readline()
mlops.set_stat("late", 1.0)
os._exit(7)
""") as process:
        assert len(component.samples("early", 1)) == 1
        if killed:
            process.terminate()
        _, error = process.communicate("" if killed else "end\n", timeout=DEADLINE_S)
    assert process.returncode == (-signal.SIGTERM if killed else 7)
    assert not error


def test_init_twice_and_init_after_done(component: Component) -> None:
    output = component.run("""
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
handle = mlops.series("handle")
mlops.init()
mlops.init()
handle.set(1.0)
mlops.done()
assert (mlops.init_called, mlops.done_called) == (False, True)
for call in (lambda: mlops.set_stat("x", 1.0), lambda: handle.set(1.0), mlops.done):
    try:
        call()
    except MLOpsException as error:
        assert "Must call init()" in str(error)
    else:
        raise AssertionError(call)
mlops.init()
handle.set(2.0)
mlops.set_stat("handle", 3)
mlops.done()
""")
    assert output.count("WARNING init() was called again") == 1
    assert sorted(value for _, value in component.samples("handle", 3)) == [1.0, 2.0, 3.0]


def test_exceptions_in_the_users_threads_are_the_users(component: Component) -> None:
    component.run("""
import threading
from parallelm.mlops import mlops
threading.excepthook = lambda arguments: None
mlops.init()
def fail():
    mlops.set_stat("x", 1.0)
    raise RuntimeError
threads = [threading.Thread(target=fail) for _ in range(5)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with mlops.event_time("2013-01-01"):
    try:
        raise RuntimeError
    except RuntimeError:
        pass
mlops.set_stat("x", 2.0)
mlops.done()
""")
    samples = component.samples("x", 6)
    assert len(samples) == 6
    assert min(time for time, _ in samples) > 1_700_000_000_000


def test_init_waits_for_no_network_and_imports_only_the_client(component: Component) -> None:
    with unused_port() as no_broker:
        no_broker.listen()  # takes connections and answers nothing
        output = component.run(
            """
import json, sys, time
from parallelm.mlops import mlops
started = time.monotonic()
mlops.init()
took_s = time.monotonic() - started
print(json.dumps([took_s, [name for name in ("fastavro", "fsspec", "numpy", "pandas", "clickhouse_driver", "pydantic")
    if name in sys.modules]]))
mlops.done()
""",
            MCENTER_KAFKA_BOOTSTRAP_SERVERS=address_of(no_broker),
            MCENTER_SCHEMA_REGISTRY_URL=f"http://{address_of(no_broker)}",
            MCENTER_COMPONENT_CLOSE_TIMEOUT_S="0.5",
        )
    took_s, imported = json.loads(output)
    assert took_s < PATIENCE_OF_A_SOCKET_S
    assert imported == []


def test_a_caller_that_never_rests_makes_no_tiny_records(component: Component) -> None:
    output = component.run("""
import json, time
from parallelm.mlops import mlops
mlops.init()
started, count = time.monotonic(), 0
while time.monotonic() - started < 1.5:
    mlops.set_stat("x", 1.0)
    count += 1
mlops.done()
print(json.dumps([count - sum(mlops.dropped().values()), time.monotonic() - started]))
""")
    count, took_s = json.loads(output)
    batches = component.records(
        "statistics",
        lambda found: (
            sum(len(one.values) for batch in found for one in batch.series if one.name == "x") >= count
        ),
    )
    assert len(batches) <= took_s / 0.1 + count / 25_000 + 5


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer")
def test_a_signal_handler_may_report(component: Component) -> None:
    output = component.run("""
import signal, time
from parallelm.mlops import mlops
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
mlops.init()
handled = 0
def handler(*_):
    global handled
    handled += 1
    mlops.set_stat("handled", 1)
    mlops.data_alert("handled", "")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
graph = MultiLineGraph().name("g").labels(["a"]).data([1])
started = time.monotonic()
while time.monotonic() - started < 1:
    mlops.set_stat(graph)
    mlops.data_alert("between", "")
    time.sleep(0.001)
signal.setitimer(signal.ITIMER_REAL, 0)
mlops.done()
print(handled, mlops.dropped())
""")
    handled, dropped = output.strip().split(maxsplit=1)
    assert dropped == "{}"
    assert len(component.samples("handled", int(handled))) == int(handled)
