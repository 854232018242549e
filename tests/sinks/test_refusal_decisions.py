"""What becomes of a refused block: the decision by a table, and its course over crashes against a model of the table."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver.errors import ServerException
from hypothesis import given
from hypothesis import strategies as st

from parallelm.connections import ClickHouseSettings
from parallelm.connections.shards import ShardMap
from parallelm.sinks.backoff import Backoff
from parallelm.sinks.blocks import ConsumedRecord
from parallelm.sinks.errors import DatabaseRefusesError, InsertRefusedError
from parallelm.sinks.partition import Block, PartitionWork
from parallelm.sinks.refusal import Step, next_step
from parallelm.sinks.refused_blocks import RefusedBlocks
from parallelm.sinks.room import has_enough, is_full, to_pause
from parallelm.sinks.rows import Rows, Source
from parallelm.sinks.server_errors import SERVER_ERRORS, Kind, kind_of
from parallelm.sinks.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOURCE = Source("mlops.events", "T", 0)


@pytest.mark.parametrize(
    ("kind", "record_count", "is_settled", "stored_rows", "waited_enough", "step"),
    [
        (Kind.POISON, 2, True, 0, False, Step.HALVE),
        (Kind.SMALLER, 2, True, 0, False, Step.HALVE),
        (Kind.SLOW, 2, True, 0, False, Step.HALVE),
        (Kind.AWAY, 2, True, 0, True, Step.AGAIN),
        (Kind.STOP, 2, True, 0, True, Step.AGAIN),
        (Kind.POISON, 1, True, 0, False, Step.GIVE_UP),
        (Kind.SMALLER, 1, True, 0, False, Step.AGAIN),
        (Kind.SMALLER, 1, True, 0, True, Step.GIVE_UP),
        (Kind.SLOW, 1, True, 0, True, Step.AGAIN),
        (Kind.AWAY, 1, True, 0, True, Step.AGAIN),
        # An earlier insert of it may be running, or its rows are in some of the tables.
        (Kind.POISON, 2, False, 0, True, Step.AGAIN),
        (Kind.POISON, 1, False, 0, True, Step.AGAIN),
        (Kind.POISON, 2, True, 1, True, Step.AGAIN),
        (Kind.SMALLER, 1, True, 1, True, Step.AGAIN),
    ],
)
def test_a_refused_block_is_cut_only_while_nothing_of_it_can_be_stored(
    kind: Kind, record_count: int, is_settled: bool, stored_rows: int, waited_enough: bool, step: Step
):
    found = next_step(
        kind,
        record_count=record_count,
        is_settled=is_settled,
        stored_rows=stored_rows,
        waited_enough=waited_enough,
    )
    assert found is step


WAITS = ("waits", "waits", "waits")
HALVED = ("halved", "waits", "waits")
HALVED_AND_GIVEN_UP_LATER = ("halved", "waits", "dead letter")
HALVED_AND_GIVEN_UP = ("halved", "dead letter", "dead letter")
ENDS = ("the sink ends", "the sink ends", "the sink ends")
LEADS_TO = {
    8: WAITS, 16: WAITS, 47: WAITS, 48: WAITS, 49: WAITS, 60: WAITS, 74: WAITS, 75: WAITS, 76: WAITS, 201: WAITS,
    202: WAITS, 203: WAITS, 209: WAITS, 210: WAITS, 218: WAITS, 225: WAITS, 236: WAITS, 242: WAITS, 243: WAITS,
    252: WAITS, 279: WAITS, 285: WAITS, 286: WAITS, 319: WAITS, 394: WAITS, 439: WAITS, 473: WAITS, 497: WAITS,
    499: WAITS, 999: WAITS, 1000: WAITS, 1001: WAITS,
    159: HALVED, 160: HALVED,
    **dict.fromkeys((158, 173, 241, 290, 307, 396), HALVED_AND_GIVEN_UP_LATER),
    **dict.fromkeys(
        (6, 11, 12, 19, 25, 26, 27, 32, 33, 38, 41, 53, 69, 70, 72, 117, 128, 130, 131, 135, 153, 190, 321, 346, 349,
         366, 376, 395, 407, 427, 441, 447, 467, 469, 490, 563, 621, 632, 645, 675, 676, 691, 760),
        HALVED_AND_GIVEN_UP,
    ),
    **dict.fromkeys((62, 81, 115, 164, 192, 193, 194, 195, 291, 452, 516), ENDS),
}  # fmt: skip
"""By code, what becomes of a block of many records, of one record, and of one that is refused for long."""


class NothingStored:
    """Answers how many rows of a block are in the table."""

    def count(self, *_: object) -> int:
        return 0


def what_follows(code: int, records: int, failing_s: float) -> str:
    """What the sink does when the server refuses a block with this code."""

    def refuse(_client: object) -> None:
        raise ServerException("no", code=code)

    clickhouse = ClickHouseSettings()
    try:
        Writer(clickhouse, ShardMap.of(clickhouse), 1.0)._attempt("INSERT INTO events (n) VALUES", refuse, "")
    except DatabaseRefusesError:
        return "the sink ends"
    except InsertRefusedError as found:
        error = found
    work, now_s = PartitionWork(SOURCE, OneRowEach(), Backoff(), None), time.monotonic()
    work.backoff.failed(now_s - failing_s, error)
    for offset in range(records):
        work.add(ConsumedRecord(offset, 1, None, b"x"))
    work.make_block()
    assert work.block is not None
    block, waiting = work.block, []
    refused = RefusedBlocks(
        NothingStored(),  # type: ignore[arg-type]
        settle_s=0,
        patience_s=60,
        try_later=lambda _work, error: waiting.append(error),
    )
    refused.refused(work, block, error)
    if waiting:
        return "waits"
    return "dead letter" if block.rows.rejected else "halved" if work.block is None else "nothing"


@pytest.mark.parametrize("code", SERVER_ERRORS)
def test_each_code_leads_to_its_step(code: int):
    assert code in LEADS_TO, f"say what {SERVER_ERRORS[code].name} leads to"
    found = tuple(
        what_follows(code, records, failing_s) for records, failing_s in ((10, 0), (1, 0), (1, 600))
    )
    assert found == LEADS_TO[code]


def test_an_unknown_code_gives_nothing_up():
    assert 31337 not in SERVER_ERRORS
    assert kind_of(31337) is Kind.AWAY


class OneRowEach:
    """A row a record."""

    def rows(self, records: Sequence[ConsumedRecord], _source: Source) -> Rows:
        return Rows(
            table="events",
            columns=("n",),
            data=[[record.offset for record in records]],
            stored_rows=len(records),
            record_count=len(records),
        )


@dataclass
class Table:
    """A table with a deduplication window that refuses blocks."""

    poison: set[int]
    most_rows: int
    offsets: list[int] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def insert(self, block: Block) -> Kind | None:
        offsets = [record.offset for record in block.records]
        if block.intent.token in self.tokens:
            return None
        if self.poison & set(offsets):
            return Kind.POISON
        if len(offsets) > self.most_rows:
            return Kind.SMALLER
        self.tokens.add(block.intent.token)
        self.offsets += offsets
        return None

    def count(self, block: Block) -> int:
        return sum(block.intent.first <= offset <= block.intent.last for offset in self.offsets)


class CrashError(Exception):
    pass


@dataclass
class Course:
    """One owner after the other, each of which may die at every step, and finds what was committed."""

    records: list[ConsumedRecord]
    table: Table
    crashes: Iterator[bool]
    committed: int = 0
    intent: object = None
    dead: set[int] = field(default_factory=set)
    inserts: int = 0

    def step(self) -> None:
        if next(self.crashes, False):
            raise CrashError

    def own(self) -> None:
        work = PartitionWork(SOURCE, OneRowEach(), Backoff(600), self.intent)  # type: ignore[arg-type]
        for record in self.records[self.committed :]:
            work.add(record)
        work.reached_end(len(self.records))
        while work.make_block() or work.block:
            assert work.block is not None
            self.deliver(work, work.block)

    def deliver(self, work: PartitionWork, block: Block) -> None:
        self.step()
        if not block.intent_committed:
            self.committed, self.intent, block.intent_committed = block.intent.first, block.intent, True
        self.step()
        refused = self.table.insert(block) if block.rows.data else None
        self.inserts += 1
        self.step()
        if refused:
            step = next_step(
                refused,
                record_count=block.record_count,
                is_settled=True,
                stored_rows=self.table.count(block),
                waited_enough=True,
            )
            if step is Step.HALVE:
                work.halve(block)
                return
            assert step is Step.GIVE_UP
            block.give_up(InsertRefusedError("refused", refused))
        self.dead |= {each.record.offset for each in block.rows.rejected}
        self.step()
        self.committed, self.intent = block.intent.last + 1, None
        work.finish()


@given(
    st.integers(1, 60),
    st.sets(st.integers(0, 59), max_size=6),
    st.integers(1, 60),
    st.lists(st.integers(0, 12), max_size=12),
)
def test_over_every_crash_each_good_record_is_stored_once_and_each_bad_one_is_a_dead_letter(
    count: int, poison: set[int], most_rows: int, steps_between_crashes: list[int]
):
    records = [ConsumedRecord(offset, 1, None, b"x") for offset in range(count)]
    crashes = (is_crash for steps in steps_between_crashes for is_crash in (*[False] * steps, True))
    course = Course(records, Table(poison, most_rows), crashes)
    while True:
        try:
            course.own()
            break
        except CrashError:
            continue
    bad = {offset for offset in poison if offset < count}
    assert sorted(course.table.offsets) == [offset for offset in range(count) if offset not in bad]
    assert course.dead == bad
    assert (course.committed, course.intent) == (count, None)


def test_one_bad_record_among_many_is_found_by_halving():
    records = [ConsumedRecord(offset, 1, None, b"x") for offset in range(4096)]
    course = Course(records, Table({1234}, 4096), iter(()))
    course.own()
    assert len(course.table.offsets) == 4095
    assert course.inserts < 30


def test_a_partition_that_fails_is_not_read_and_leaves_the_room_of_the_others():
    failing = PartitionWork(SOURCE, OneRowEach(), Backoff(600), None)
    other = PartitionWork(SOURCE, OneRowEach(), Backoff(600), None)
    for offset in range(40):
        failing.add(ConsumedRecord(offset, 1, None, bytes(2 << 20)))
    works = {("a", 0): failing, ("b", 0): other}
    assert to_pause(works) == set(works)
    assert has_enough(works.values())
    failing.backoff.failed(0, InsertRefusedError("table is read-only", Kind.AWAY))
    failing.make_block()
    failing.make_block()
    assert to_pause(works) == {("a", 0)}
    assert not has_enough(works.values())
    assert not is_full(works.values())
    failing.backoff.succeeded()
    assert is_full(works.values())
