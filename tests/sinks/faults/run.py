"""One run of the fault test: a broker, a ClickHouse server, sinks, their load, and what happens to them."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from confluent_kafka.admin import AdminClient

from parallelm.connections.kafka import client_config
from parallelm.schemas import topics
from parallelm.schemas.topic_admin import create_topics
from parallelm.warehouse.cluster import KEPT_FREE_BYTES
from tests.sinks.faults import token_kill
from tests.stream_processors.faults.run import broker_pid
from tests.waiting import DEADLINE_S, wait_for

from .fleet import SESSION_TIMEOUT_S, Fleet, FleetSink
from .small_disk import filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.mcenter.local_stack import LocalStack
    from tests.mcenter.engine.conftest import EngineProcess

    from .load import Load, Tables

EXACT_S = 180.0
"""Until the tables hold everything after a fault: far more than it takes, for machines with other things to do."""
_BIG_BYTES = 1_000
"""An insert's rows, as the wire sees them; questions and commits are smaller."""


@dataclass
class Run:
    """Faults, and the times until work went on."""

    seed: int
    settings: Settings
    stack: LocalStack
    engine: EngineProcess
    disk: Path | None
    """Mount point of the engine's own disk; None where none can be mounted."""
    fleet: Fleet
    load: Load
    tables: Tables
    back_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """After kill -9: until a record that was sent to each partition after it was a row."""
    exact_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """After the end of a fault: until the tables held all that was acknowledged."""
    rounds: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def start(self) -> None:
        for sink in self.fleet.static:
            self.fleet.start(sink)
        for sink in self.fleet.static:
            sink.wait_ready()
        self.settle("the start")

    def round(self, fault: Callable[[], None]) -> None:
        """Producers run before the fault and during it; afterwards every record is there, once, in every table."""
        with self.load.running():
            self.work(self.chance.uniform(0.1, 0.6))
            fault()
        self.settle(fault.__name__)
        self.rounds += 1
        sys.stdout.write(f"{time.strftime('%X')} {self.rounds}. {fault.__name__}: exact\n")
        sys.stdout.flush()

    def work(self, seconds: float) -> None:
        """Let things go on for a while."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._supervise()
            time.sleep(0.05)

    def settle(self, kind: str) -> None:
        """Wait until the tables hold exactly what was acknowledged."""
        began = time.monotonic()

        def is_exact() -> bool:
            self._supervise()
            return not self.tables.differences(self.load.acknowledged)

        wait_for(is_exact, lambda: self._what(kind), EXACT_S)
        self.exact_s[kind].append(time.monotonic() - began)

    def _what(self, kind: str) -> str:
        return (
            f"the tables are exact after {kind} (seed {self.seed}, round {self.rounds}): "
            f"{self.tables.differences(self.load.acknowledged)}\n{self.fleet.logs()}\n"
            f"--- engine\n{self.engine.log.read_text()[-3000:]}"
        )

    def _supervise(self) -> None:
        self.fleet.supervise()
        if self.engine.process is not None and self.engine.process.poll() is not None:
            self.engine.start()

    def _back_at_work(self, kind: str, began: float) -> None:
        places = self.load.send_markers()

        def stored() -> bool:
            self._supervise()
            return self.tables.have(places)

        wait_for(stored, lambda: f"work goes on: {self._what(kind)}", EXACT_S)
        self.back_s[kind].append(time.monotonic() - began)

    # ---- faults -------------------------------------------------------------------------------------------------

    def kill_sink(self) -> None:
        """Its supervisor starts it again at once."""
        sink = self.chance.choice(self.fleet.static)
        sink.kill()
        began = time.monotonic()
        sink.start(wait=False)
        self._back_at_work("kill -9 of a sink", began)

    def kill_guest(self) -> None:
        """A sink without an instance id, and without a successor: the others take over."""
        if self.fleet.guest not in self.fleet.wanted:
            self.fleet.start(self.fleet.guest, wait=True)
        self.fleet.wanted.remove(self.fleet.guest)
        self.fleet.guest.kill()
        self._back_at_work("kill -9 of a sink without a successor", time.monotonic())

    def kill_server(self) -> None:
        self.engine.kill()
        began = time.monotonic()
        self.engine.start()
        self._back_at_work("kill -9 of the server", began)

    def kill_broker(self) -> None:
        """The stack's supervisor starts it again."""
        began = self._kill_broker()
        self._back_at_work("kill -9 of the broker", began)

    def kill_several(self) -> None:
        """A sink or both, the server, and sometimes the broker, at once."""
        sinks = self.chance.sample(self.fleet.static, self.chance.randint(1, 2))
        for sink in sinks:
            sink.kill()
        self.engine.kill()
        began = self._kill_broker() if self.chance.random() < 0.3 else time.monotonic()
        for sink in sinks:
            sink.start(wait=False)
        self.engine.start()
        self._back_at_work("kill -9 of several at once", began)

    def kill_at_token(self) -> None:
        """The server dies as it has written a token, before its part is in place or right after."""
        killer = [sys.executable, token_kill.__file__, str(self.engine.pid), str(self.engine.data)]
        code = subprocess.run(killer, check=False, timeout=DEADLINE_S).returncode
        began = time.monotonic()
        assert code == 0, "no insert came"
        assert self.engine.process is not None
        self.engine.process.wait(DEADLINE_S)
        self.engine.start()
        self._back_at_work("kill -9 of the server at a token", began)

    def pause_sink(self) -> None:
        """A zombie: others have its partitions when it wakes; every other time with an insert on its way."""
        sinks = self.chance.sample(self.fleet.static, self.chance.randint(1, 2))
        self._pause(sinks)
        self.work(SESSION_TIMEOUT_S + self.chance.uniform(0.5, 1.5))
        self._resume(sinks)

    def twin(self) -> None:
        """A second sink with the instance id of one that is paused, an insert of which may be on its way."""
        first, twin = self.fleet.static[0], self.fleet.twin
        self._pause([first])
        self.fleet.wanted.remove(first)
        twin.start()
        self.work(self.chance.uniform(0.2, SESSION_TIMEOUT_S + 1))
        self._resume([first])
        both = (first, twin)
        ended = wait_for(
            lambda: next((each for each in both if not each.runs), None), lambda: self._what("a twin")
        )
        assert "another sink runs with --instance-id 'static-0'" in ended.log()
        if twin.runs:
            twin.kill()
            first.start(wait=False)
        self.fleet.wanted.append(first)

    def pause_server(self) -> None:
        """The server answers nothing for longer than the sinks' session time-out."""
        assert self.engine.process is not None
        self.engine.process.send_signal(19)
        try:
            self.work(SESSION_TIMEOUT_S + self.chance.uniform(0.2, 1.0))
        finally:
            self.engine.process.send_signal(18)

    def join_or_leave(self) -> None:
        guest = self.fleet.guest
        if guest in self.fleet.wanted:
            self.fleet.wanted.remove(guest)
            assert guest.terminate() == 0, guest.log()
        else:
            self.fleet.start(guest, wait=True)
            self.work(1.0)

    def cut_connections(self) -> None:
        """Within inserts, one after the other; then all for a while."""
        for _ in range(4):
            for sink in self.fleet.wanted:
                sink.wire.cut_after_bytes = self.chance.randint(1, 40_000)
            self.work(0.3)
        for sink in self.fleet.wanted:
            sink.wire.sever()
        self.work(self.chance.uniform(0.2, 1.5))
        for sink in self.fleet.all:
            sink.wire.cut = False

    def recreate_topic(self) -> None:
        """Deleted when all of it was stored, and created again at once; then it gets more records than it had, or fewer."""
        self.load.send_events(self.chance.randint(1, 200))
        _, _, events, _ = self.load.acknowledged.totals()
        wait_for(
            lambda: self.tables.ask("SELECT count() FROM events") == [(events,)], lambda: self._what("events")
        )
        admin = AdminClient(client_config(self.settings.kafka))
        name = topics.EVENTS.full_name(self.settings.kafka.topic_prefix)
        admin.delete_topics([name])[name].result(DEADLINE_S)
        wait_for(lambda: create_topics(self.settings) == [name])
        self.load.learn_topic_ids()
        self.load.send_events(self.chance.randint(1, 400))

    def full_disk(self) -> None:
        """The server refuses every insert for some seconds."""
        assert self.disk is not None
        with filled(self.disk, but_bytes=KEPT_FREE_BYTES // 2):
            ends = time.monotonic() + self.chance.uniform(1.5, 3.0)
            while time.monotonic() < ends:
                self.fleet.supervise()
                time.sleep(0.05)

    def _kill_broker(self) -> float:
        folder = self.stack.plan.folder
        before = broker_pid(folder)
        os.kill(before, 9)
        began = time.monotonic()
        wait_for(lambda: broker_pid(folder) not in {before, 0}, "the broker is back")
        return began

    def _pause(self, sinks: list[FleetSink]) -> None:
        for sink in sinks:
            if self.chance.random() < 0.5:
                sink.wire.hold(_BIG_BYTES)
                sink.wire.is_holding.wait(2.0)
            sink.pause()

    def _resume(self, sinks: list[FleetSink]) -> None:
        """What was held reaches the server before its sink wakes, or after."""
        for sink in sinks:
            if self.chance.random() < 0.5:
                sink.wire.release()
                self.work(0.3)
            sink.resume()
            sink.wire.release()

    # ---- the end ------------------------------------------------------------------------------------------------

    def report(self) -> str:
        """What ``make faults`` shows."""
        count, total, events, bad = self.load.acknowledged.totals()
        repaired = self.engine.log.read_text().count("belong to no part")
        ends = [end for sink in self.fleet.all for end in sink.unexpected_ends]
        lines = [
            (
                f"seed {self.seed}: {self.rounds} rounds, {self.load.acknowledged.records} records, {count} samples with a "
                f"sum of {total:.0f}, {events} events, {bad} dead letters; {repaired} logs had a token without its part"
            ),
            *(f"a sink ended by itself, {end[:300]}" for end in ends),
            "back at work after:",
            *(_line(kind, seconds) for kind, seconds in sorted(self.back_s.items())),
            "exact after the end of:",
            *(_line(kind, seconds) for kind, seconds in sorted(self.exact_s.items())),
        ]
        return "\n".join(["", *lines, ""])


def _line(kind: str, seconds: list[float]) -> str:
    return (
        f"  {kind:40} {len(seconds):4} times, median {statistics.median(seconds):5.1f} s, "
        f"longest {max(seconds):5.1f} s"
    )


def faults_of(run: Run, rounds: int) -> Iterator[Callable[[], None]]:
    """The first ones are of different kinds; then they come by chance."""
    kinds = [
        *(run.kill_sink, run.pause_sink, run.kill_several, run.cut_connections, run.kill_at_token, run.twin),
        *([run.full_disk] if run.disk else []),
        *(
            run.recreate_topic,
            run.kill_guest,
            run.kill_broker,
            run.kill_server,
            run.join_or_leave,
            run.pause_server,
        ),
    ]
    yield from kinds[:rounds]
    for _ in range(len(kinds), rounds):
        yield run.chance.choice([*kinds, run.kill_sink, run.kill_several, run.kill_at_token])
