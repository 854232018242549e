"""SIGTERM and SIGINT end every service cleanly, at whatever moment of its life they come."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from parallelm.connections import ClickHouseSettings, KafkaSettings, Settings
from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.stack import stop_detached
from parallelm.mcenter.local_stack.state import load_state
from parallelm.schemas.topic_admin import create_topics
from parallelm.supervision.identity import is_alive
from parallelm.supervision.ports import choose_ports
from parallelm.warehouse import migrate
from tests.service_process import ServiceProcess
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from parallelm.supervision.state import SupervisorState

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "2"))
"""Starts of each service; `make faults` asks for more."""


def ended_at_many_moments(service: ServiceProcess, seed: int = 7) -> list[int]:
    """Exit codes after signals at moments spread over its start and a little of its life."""
    chance = random.Random(seed)
    codes = []
    span_s = float("inf")
    for _ in range(2):  # the first start is a cold one
        began = time.monotonic()
        service.start()
        span_s = min(span_s, 1.2 * (time.monotonic() - began))
        codes.append(service.terminate())
    for number in range(ROUNDS):
        service.start(wait=False)
        time.sleep(span_s * (number + chance.random()) / ROUNDS)  # the moment of the signal is the point
        codes.append(service.end(chance.choice([signal.SIGTERM, signal.SIGINT])))
    return codes


def registry(folder: Path, _: Callable[[], Settings]) -> ServiceProcess:
    return ServiceProcess(folder, "schemas", "serve", "--port", "0")


def engine(folder: Path, _: Callable[[], Settings]) -> ServiceProcess:
    port = choose_ports({"native": None}, {})["native"]
    arguments = ("--data", str(folder / "data"), "--port", str(port))
    return ServiceProcess(folder, *arguments, module="parallelm.mcenter.engine")


def sink(folder: Path, settings: Callable[[], Settings]) -> ServiceProcess:
    return ServiceProcess(folder, "sink", "--session-timeout-s", "6", settings=settings())


def processors(folder: Path, settings: Callable[[], Settings]) -> ServiceProcess:
    return ServiceProcess(folder, "processors", "--session-timeout-s", "3", settings=settings())


def notifier(folder: Path, settings: Callable[[], Settings]) -> ServiceProcess:
    folder.mkdir()
    file = folder / "notifications.yaml"
    file.write_text("receivers: [{name: nobody}]\nalerts: {receiver: nobody}\n")
    arguments = ("notifier", "--file", str(file), "--session-timeout-s", "3")
    return ServiceProcess(folder, *arguments, settings=settings())


def supervisor(folder: Path, _: Callable[[], Settings]) -> ServiceProcess:
    return ServiceProcess(folder, "up", "--service", "registry", "--data", str(folder / "data"))


@pytest.fixture
def prepared(request: pytest.FixtureRequest) -> Callable[[], Settings]:
    """Settings with topics and tables, made when they are asked for."""

    def make() -> Settings:
        settings: Settings = request.getfixturevalue("settings")
        create_topics(settings, timeout_s=DEADLINE_S)
        migrate(settings)
        return settings

    return make


@pytest.mark.parametrize("service", [registry, engine, sink, processors, notifier, supervisor])
def test_a_signal_at_any_moment_ends_a_service_with_0(
    service: Callable[[Path, Callable[[], Settings]], ServiceProcess],
    prepared: Callable[[], Settings],
    tmp_path: Path,
):
    started = service(tmp_path / "service", prepared)
    with started.gone_at_the_end():
        assert ended_at_many_moments(started) == [0] * (ROUNDS + 2), started.log()
        assert "Traceback" not in started.log()


SIGNAL_AT_THE_FIRST_LARGE_IMPORT = """
import os, runpy, signal, sys

class Signal:
    def find_spec(self, name, *_):
        if name in ("click", "confluent_kafka", "pydantic"):
            os.kill(os.getpid(), signal.SIGTERM)

module, sys.argv = sys.argv[1], sys.argv[1:]
sys.meta_path.insert(0, Signal())
runpy.run_module(module, run_name="__main__")
print("it was not ended")
"""


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("parallelm.mcenter", "sink"), 0),
        (("parallelm.mcenter", "processors"), 0),
        (("parallelm.mcenter", "notifier"), 0),
        (("parallelm.mcenter", "notifier", "test", "alerts"), 128 + signal.SIGTERM),
        (("parallelm.mcenter", "schemas", "serve"), 0),
        (("parallelm.mcenter", "up"), 0),
        (("parallelm.mcenter.engine", "--data", "nowhere", "--port", "1"), 0),
        (("parallelm.mcenter", "demo"), 128 + signal.SIGTERM),
        (("parallelm.mcenter", "up", "--detach"), 128 + signal.SIGTERM),
        (("parallelm.mcenter", "topics", "list"), -signal.SIGTERM),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_signals_are_handled_before_anything_large_is_imported(
    command: tuple[str, ...], code: int, tmp_path: Path
):
    ended = subprocess.run(
        [sys.executable, "-c", SIGNAL_AT_THE_FIRST_LARGE_IMPORT, *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", "")


def test_a_detached_supervisor_that_gets_a_signal_stops_its_services(tmp_path: Path):
    folder = tmp_path / "data"
    stack = LocalStack(folder, services=("registry",))
    stack.start(detached=True)
    try:
        state = load_state(folder)
        assert state is not None
        os.kill(state.pid, signal.SIGTERM)
        wait_for(lambda: gone(state), "supervisor and service are gone")
    finally:
        stop_detached(folder)
    assert [process.condition for process in load_state(folder).processes] == ["stopped"]


def gone(state: SupervisorState) -> bool:
    return not any(map(is_alive, (state.pid, *(process.pid for process in state.processes if process.pid))))


def test_a_demo_that_is_interrupted_stops_its_stack_and_says_so_by_its_exit_code(tmp_path: Path):
    data = tmp_path / "data"
    demo = ServiceProcess(tmp_path, "demo", "--days", "35", "--data", str(data), "--output", str(tmp_path))
    with demo.gone_at_the_end():
        demo.start(wait=False)
        state = wait_for(lambda: (state := load_state(data)) and state.processes[0].pid and state, demo.log)
        assert demo.terminate() == 128 + signal.SIGTERM
        wait_for(lambda: gone(state), "the stack is gone")


def test_a_sink_whose_database_is_away_ends_with_0(tmp_path: Path):
    port = choose_ports({"nothing": None}, {})["nothing"]
    started = ServiceProcess(
        tmp_path, "sink", settings=Settings(clickhouse=ClickHouseSettings(host="127.0.0.1", port=port))
    )
    with started.gone_at_the_end():
        started.start(wait=False)
        wait_for(lambda: "refused" in started.log(), started.log)
        assert started.terminate() == 0


def test_processors_that_wait_for_a_broker_end_with_0_at_once(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE_S)
        kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{silent.getsockname()[1]}")
        started = ServiceProcess(tmp_path, "processors", settings=Settings(kafka=kafka))
        with started.gone_at_the_end():
            started.start(wait=False)
            connection, _ = silent.accept()
            with connection:
                assert started.terminate() == 0
    # It gives the broker ten seconds, and then ends with an error.
    assert "no Kafka broker answered" not in started.log()
