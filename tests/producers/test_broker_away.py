"""The broker is absent, dies, hangs and comes back: the host program goes on, and every report is accounted for."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from parallelm.connections import load_settings
from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.state import load_state
from parallelm.schemas.topic_admin import create_topics
from tests.producers.conftest import DEADLINE_S, Component, ends
from tests.producers.unused_port import address_of, unused_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator


PROMISED_S = 2.0
"""What ``done()`` and the interpreter's exit take at most when no broker answers."""
MACHINE_S = 1.9
"""What a busy machine may add; waiting for anything twice would take longer."""


@pytest.fixture
def no_broker(component: Component) -> Iterator[Component]:
    """The component, with a broker that does not exist."""
    with unused_port() as port:
        kafka = dataclasses.replace(component.settings.kafka, bootstrap_servers=address_of(port))
        promised = dataclasses.replace(component.settings.component, close_timeout_s=PROMISED_S)
        settings = dataclasses.replace(component.settings, kafka=kafka, component=promised)
        yield dataclasses.replace(component, settings=settings)


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A broker that a test may stop; it comes back where it was."""
    stack = LocalStack(tmp_path_factory.mktemp("own"), services=("kafka",))
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture
def on_own_broker(own_broker: LocalStack, component: Component) -> Component:
    address = own_broker.settings.kafka.bootstrap_servers
    kafka = dataclasses.replace(component.settings.kafka, bootstrap_servers=address)
    settings = dataclasses.replace(component.settings, kafka=kafka)
    create_topics(settings, timeout_s=DEADLINE_S)
    return dataclasses.replace(component, settings=settings, first=ends(settings))


def say(process: subprocess.Popen[str], line: str) -> str:
    """Let a component go on, and return what it says then."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_without_a_broker_nothing_is_raised_held_up_or_unbounded(no_broker: Component) -> None:
    output = json.loads(
        no_broker.run(
            """
import json, time
from parallelm.mlops import mlops
from parallelm.mlops.stats.table import Table
started = time.monotonic()
mlops.init()
init_s = time.monotonic() - started
table = Table().name("t").cols(["a"]).add_row([1])
longest_s, longest_queue = 0.0, 0
for number in range(100_000):
    before = time.perf_counter()
    mlops.set_stat("x", 1.0)
    longest_s = max(longest_s, time.perf_counter() - before)
    longest_queue = max(longest_queue, len(mlops._queue))
for number in range(100):
    mlops.set_stat(table)
    mlops.data_alert("a", "b")
    mlops.set_kpi("k", 1)
started = time.monotonic()
mlops.done()
print(json.dumps([init_s, longest_s, longest_queue, time.monotonic() - started, mlops.dropped()]))
""",
            MCENTER_COMPONENT_QUEUE_MAX_SAMPLES="5000",
            MCENTER_COMPONENT_QUEUE_MAX_KBYTES="256",
        )
    )
    init_s, longest_s, longest_queue, done_s, dropped = output
    assert init_s < 5
    assert longest_s < 2
    assert longest_queue <= 5000
    assert done_s < PROMISED_S + MACHINE_S
    assert dropped["queue_full"] > 0
    assert sum(dropped.values()) == 100_300


def test_without_a_broker_an_exit_takes_two_seconds_at_most(no_broker: Component) -> None:
    output = no_broker.run("""
import atexit, time
ended = []
atexit.register(lambda: print(time.monotonic() - ended[0]))
from parallelm.mlops import mlops
mlops.init()
mlops.set_stat("x", 1.0)
time.sleep(0.5)
ended.append(time.monotonic())
""")
    assert float(output) < PROMISED_S + MACHINE_S


def test_a_model_published_without_a_broker_is_sent_by_the_next_init(
    no_broker: Component, component: Component
) -> None:
    output = no_broker.run("""
import time
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat
mlops.init()
open("m.txt", "w").write("weights")
model = mlops.Model("m", ModelFormat.TEXT)
model.set_model_path("m.txt")
print(mlops.publish_model(model))
started = time.monotonic()
mlops.done()
print(time.monotonic() - started)
""")
    model_id, done_s = output.split()
    assert float(done_s) < PROMISED_S + MACHINE_S
    outbox = Path(component.settings.component.outbox_folder)
    assert (outbox / model_id / "artifact").read_text() == "weights"
    (outbox / "0123.partial").mkdir()
    (outbox / "4567.lock").touch()  # of a process that was killed just before it removed it
    component.run(
        "from parallelm.mlops import mlops; mlops.init(); mlops.done()", PM_WORKFLOW_NODE_ID="another"
    )
    (announced,) = component.records("models", bool)
    assert (announced.model_id, announced.origin.node_id) == (model_id, "train")
    assert not list(outbox.iterdir())


def test_models_of_a_process_that_was_killed_are_sent_by_the_next_init(component: Component) -> None:
    program = """
import os, signal, sys
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat
mlops.init()
with open("m.bin", "wb") as file:
    file.truncate(30_000_000)
for number in range(5):
    model = mlops.Model(str(number), ModelFormat.BINARY)
    model.set_model_path("m.bin")
    print(mlops.publish_model(model), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with component.start(program) as process:
        out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -signal.SIGKILL
    published = set(out.split())
    assert len(published) == 5
    component.run("from parallelm.mlops import mlops; mlops.init(); mlops.done()")
    announced = component.records("models", lambda found: len({one.model_id for one in found}) >= 5)
    assert {one.model_id for one in announced} == published
    assert not list(Path(component.settings.component.outbox_folder).iterdir())


def test_nothing_is_lost_while_the_broker_is_down_and_the_queue_holds(
    own_broker: LocalStack, on_own_broker: Component
) -> None:
    program = """
import sys
from parallelm.mlops import mlops
mlops.init()
for batch, line in enumerate(sys.stdin):
    for number in range(5000):
        mlops.set_stat("x", float(batch * 5000 + number))
    mlops.data_alert(f"alert {batch}", "")
    print(batch, flush=True)
mlops.done()
print(mlops.dropped())
"""
    with on_own_broker.start(program) as process:
        assert say(process, "up") == "0"
        assert len(on_own_broker.samples("x", 5000)) == 5000
        own_broker.stop()
        assert say(process, "down") == "1"
        assert say(process, "still down") == "2"
        own_broker.start()
        assert say(process, "up again") == "3"
        out, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, error
    assert out.strip() == "{}"
    values = [value for _, value in on_own_broker.samples("x", 20_000)]
    assert sorted(values) == [float(number) for number in range(20_000)]
    alerts = on_own_broker.records("events", lambda found: len(found) >= 4)
    assert sorted(alert.title for alert in alerts) == [f"alert {batch}" for batch in range(4)]


def test_what_did_not_fit_is_reported_when_the_broker_is_back(
    own_broker: LocalStack, on_own_broker: Component
) -> None:
    program = """
import sys, time
from parallelm.mlops import mlops
mlops.init()
for batch, line in enumerate(sys.stdin):
    for number in range(200_000):
        mlops.set_stat("x", float(batch * 200_000 + number))
        if number % 20_000 == 0: time.sleep(0.15)
    print(batch, flush=True)
mlops.done()
"""
    queues = {
        "MCENTER_COMPONENT_QUEUE_MAX_SAMPLES": "25000",
        "MCENTER_COMPONENT_QUEUE_MAX_KBYTES": "1000",
    }
    own_broker.stop()
    with on_own_broker.start(program, **queues) as process:
        assert say(process, "down") == "0"
        own_broker.start()
        assert on_own_broker.samples("x", 1)
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, error
    assert 1 <= error.count("reports dropped") <= 3
    batches = on_own_broker.records(
        "statistics",
        lambda found: (
            sum(len(series.values) for batch in found for series in batch.series if series.name == "x")
            + sum(
                series.values[0]
                for batch in found
                for series in batch.series
                if series.name == "mcenter.dropped"
            )
            >= 200_000
        ),
    )
    reported = [series for batch in batches for series in batch.series if series.name == "mcenter.dropped"]
    arrived = [
        value for batch in batches for series in batch.series if series.name == "x" for value in series.values
    ]
    assert {series.labels["reason"] for series in reported} == {"queue_full"}
    assert len(arrived) == len(set(arrived))
    assert len(arrived) + sum(sum(series.values) for series in reported) == 200_000


def test_a_broker_that_hangs_holds_up_nobody(own_broker: LocalStack, on_own_broker: Component) -> None:
    program = """
import sys, time
from parallelm.mlops import mlops
mlops.init()
mlops.set_stat("x", 1.0)
print("reported", flush=True)
sys.stdin.readline()
mlops.set_stat("x", 2.0)
started = time.monotonic()
mlops.done()
print(time.monotonic() - started)
"""
    state = load_state(own_broker.plan.folder)
    assert state is not None
    (broker,) = (process.pid for process in state.processes if process.name == "kafka")
    assert broker is not None
    with on_own_broker.start(program, MCENTER_COMPONENT_CLOSE_TIMEOUT_S=str(PROMISED_S)) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "reported"
        assert len(on_own_broker.samples("x", 1)) == 1
        os.kill(broker, signal.SIGSTOP)
        try:
            done_s = say(process, "go on")
            process.communicate(timeout=DEADLINE_S)
        finally:
            os.kill(broker, signal.SIGCONT)
    assert process.returncode == 0
    assert float(done_s) < PROMISED_S + MACHINE_S


def test_settings_that_are_wrong_are_named_by_init(component: Component) -> None:
    output = component.run(
        """
from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
try:
    mlops.init()
except MLOpsException as error:
    print(error)
assert not mlops.init_called
""",
        MCENTER_COMPONENT_FLUSH_INTERVAL_MS="soon",
    )
    assert "MCENTER_COMPONENT_FLUSH_INTERVAL_MS" in output
    assert load_settings({}, file=component.folder / "component.toml") == component.settings


def test_an_outbox_that_cannot_be_read_stops_no_program(component: Component) -> None:
    outbox = Path(component.settings.component.outbox_folder)
    outbox.parent.mkdir(parents=True, exist_ok=True)
    outbox.write_text("a file where a folder should be")
    output = component.run("""
from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models.model import ModelFormat
mlops.init()
model = mlops.Model("m", ModelFormat.TEXT)
open("m.txt", "w").close()
model.set_model_path("m.txt")
try:
    mlops.publish_model(model)
except MLOpsException as error:
    print(error)
mlops.set_stat("x", 1.0)
mlops.done()
""")
    assert str(outbox) in output
    assert len(component.samples("x", 1)) == 1
