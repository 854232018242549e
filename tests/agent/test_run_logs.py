"""How a run's log becomes records: limited, counted, and never stopped by the brokers or a full disk."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from prometheus_client import CollectorRegistry

from parallelm.agent.metrics import AgentMetrics
from parallelm.agent.runners import RunKey
from parallelm.agent.telemetry import SeenRun
from parallelm.agent.telemetry.log_shipping import LogShipping
from parallelm.agent.telemetry.run_log import RunLog
from parallelm.connections.settings import RegistrySettings
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import LogLines, Origin
from parallelm.schemas.registry import make_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T = TypeVar("T", RunLog, LogShipping)
ORIGIN = Origin(mlapp_id="app", node_id="node", pipeline_instance_id="node-0", agent_id="host")


class Opened(contextlib.ExitStack):
    """What a test has opened, until its end."""

    def __call__(self, closeable: T) -> T:
        self.callback(closeable.close)
        return closeable


@pytest.fixture
def opened() -> Iterator[Opened]:
    with Opened() as stack:
        yield stack


def a_run(folder: Path, *, limit: int = 200, run_id: str = "r") -> SeenRun:
    (folder / run_id).mkdir(exist_ok=True)
    return SeenRun(key=RunKey(run_id, 1), origin=ORIGIN, logs=folder / run_id, lines_per_second=limit)


def write(run: SeenRun, first: int, *texts: str, step: str = "s", segment: int = 1) -> None:
    """As a keeper writes it."""
    assert run.logs is not None
    with (run.logs / f"{segment:012d}.log").open("a") as file:
        for number, text in enumerate(texts):
            file.write(f"{1000 + first + number} o {step} {text}\n")


def test_lines_come_in_order_with_their_numbers_and_steps(tmp_path: Path, opened: Opened) -> None:
    run = a_run(tmp_path)
    log = opened(RunLog(run, 1, 0.0))
    assert log.read(0.0) == ([], False)
    write(run, 1, "one", "two")
    write(run, 3, "three", step="t")
    first, second = log.read(0.1)[0]
    assert (first.first_line, first.step_id, list(first.lines), list(first.streams)) == (
        1, "s", ["one", "two"], ["stdout"] * 2,
    )  # fmt: skip
    assert (second.first_line, second.step_id, list(second.lines), second.dropped) == (3, "t", ["three"], 0)
    again = opened(RunLog(run, 3, 0.0))
    assert [list(each.lines) for each in again.read(0.1)[0]] == [["three"]]


def test_what_is_over_the_limit_or_was_deleted_is_counted_in_the_next_record(
    tmp_path: Path, opened: Opened
) -> None:
    run = a_run(tmp_path, limit=2)
    log = opened(RunLog(run, 1, 0.0))
    write(run, 1, *map(str, range(25)))
    (record,) = log.read(0.0)[0]
    assert (len(record.lines), record.dropped, log.dropped) == (10, 0, 15)
    write(run, 30, "later", segment=30)
    (record,) = log.read(10.0)[0]
    assert (record.first_line, record.dropped) == (30, 15 + 4)
    write(run, 31, *map(str, range(100)), segment=30)
    log.read(10.0)
    (rest,) = log.rest()
    assert (rest.dropped, list(rest.lines), rest.first_line) == (100 - 9, [], 131)
    assert log.rest() == []


def test_long_lines_are_cut_and_records_stay_below_the_brokers_limit(tmp_path: Path, opened: Opened) -> None:
    run = a_run(tmp_path, limit=100_000)
    write(run, 1, *["ü" * 50_000] * 60)
    records, _ = opened(RunLog(run, 1, 0.0)).read(0.0)
    assert sum(len(each.lines) for each in records) == 60
    assert all(line.endswith(" …") for each in records for line in each.lines)
    codec = Codec(make_registry(RegistrySettings(), ""))
    assert max(len(codec.encode(each)) for each in records) < 900_000


class Sent:
    """A Kafka client whose broker answers when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, Any]] = []

    def produce(self, _topic: str, value: bytes, _key: bytes, on_delivery: Any) -> None:
        self.waiting.append((value, on_delivery))

    def poll(self, _timeout_s: float) -> None:
        """Nothing comes by itself."""

    def answer(self, codec: Codec) -> list[LogLines]:
        answered, self.waiting = self.waiting, []
        for _, delivered in answered:
            delivered(None, None)
        return [codec.decode(value) for value, _ in answered]


def test_an_agent_that_comes_back_goes_on_where_its_lines_were_confirmed(
    tmp_path: Path, opened: Opened
) -> None:
    codec = Codec(make_registry(RegistrySettings(), ""))

    def shipping(client: Sent) -> LogShipping:
        metrics = AgentMetrics(CollectorRegistry())
        return opened(LogShipping(client, "p.", codec, tmp_path / "logs.json", metrics))

    ended, goes_on = a_run(tmp_path, run_id="ended"), a_run(tmp_path, run_id="goes-on")
    first = Sent()
    logs = shipping(first)
    write(ended, 1, "one")
    write(goes_on, 1, "a", "b")
    logs.see([ended, goes_on])
    logs.ship()
    assert {each.run_id for each in first.answer(codec)} == {"ended", "goes-on"}
    write(ended, 2, "unconfirmed")
    logs.ship()
    logs.save()
    write(ended, 3, "while away")
    second = Sent()
    logs = shipping(second)  # the run has ended meanwhile: nobody names it any more
    logs.see([goes_on])
    logs.ship()
    (record,) = second.answer(codec)
    assert (record.run_id, record.first_line, list(record.lines)) == (
        "ended",
        2,
        ["unconfirmed", "while away"],
    )
    logs.ship()
    logs.save()
    assert "ended" not in (tmp_path / "logs.json").read_text()
    (tmp_path / "logs.json").write_text("{broken")
    third = Sent()
    logs = shipping(third)
    logs.see([goes_on])
    logs.ship()
    assert [list(each.lines) for each in third.answer(codec)] == [["a", "b"]]
