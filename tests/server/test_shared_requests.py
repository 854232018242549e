"""What several server processes share about requests, on SQLite and on a real PostgreSQL: keys of actions, and limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from parallelm.server.access.limits import RequestLimit
from parallelm.server.accounts import answered_requests as store
from parallelm.server.accounts.request_allowances import set_aside
from tests.server.test_database import T0, opened

HOLD_MS = 1000
ASKERS = 8


def test_of_many_that_use_a_key_at_once_one_acts_and_the_others_get_its_answer(url: str):
    with opened(url) as first, opened(url) as second, ThreadPoolExecutor(ASKERS) as pool:
        asked = list(
            pool.map(
                lambda number: store.hold((first, second)[number % 2], "key", "body", T0, HOLD_MS),
                range(ASKERS),
            )
        )
        assert sorted(each.is_ours for each in asked) == [False] * (ASKERS - 1) + [True]
        other = next(each for each in asked if not each.is_ours)
        assert (other.body_digest, other.answer, other.held_until_ms) == ("body", None, T0 + HOLD_MS)
        store.answer(first, "key", '{"done": 1}')
        assert store.hold(second, "key", "other body", T0 + 1, HOLD_MS).answer == '{"done": 1}'
        later = T0 + store.KEEP_MS + 1
        assert store.hold(second, "key", "body", later, HOLD_MS).is_ours, "forgotten after a day"


def test_a_key_whose_process_has_ended_is_taken_over_by_one_of_those_that_wait(url: str):
    with opened(url) as first, opened(url) as second, ThreadPoolExecutor(ASKERS) as pool:
        assert store.hold(first, "key", "body", T0, HOLD_MS).is_ours
        store.leave(first, "key", T0 + 5)
        held = store.hold(second, "key", "body", T0 + 6, HOLD_MS)
        assert (held.is_ours, held.held_until_ms) == (False, T0 + 5)
        took = pool.map(
            lambda number: store.take_over((first, second)[number % 2], "key", held, T0 + 7, HOLD_MS),
            range(ASKERS),
        )
        assert sum(took) == 1
        store.give_back(second, "key")
        assert store.hold(first, "key", "body", T0 + 8, HOLD_MS).is_ours, "nothing was done: it is free again"


def test_processes_give_out_a_limit_together_and_nothing_beyond(url: str):
    with opened(url) as first, opened(url) as second, ThreadPoolExecutor(ASKERS) as pool:
        granted = pool.map(
            lambda number: set_aside((first, second)[number % 2], "ada", 5, 7, 100)[0], range(40)
        )
        assert sum(granted) == 100
        assert set_aside(first, "grace", 5, 7, 100) == (7, 7)
        assert set_aside(first, "ada", 6, 7, 100) == (7, 7), "another minute"
        assert set_aside(first, "grace", 6, 7, 100) == (7, 7)


def test_two_processes_let_through_what_one_would(url: str):
    with opened(url) as first, opened(url) as second:
        limits = RequestLimit(first, 60), RequestLimit(second, 60)
        taken = [limits[number % 2].take("ada", 60.0) for number in range(100)]
        assert sum(each is not None and each.left >= 0 for each in taken) == 60
        assert all(each is not None and each.left < 60 for each in taken)
