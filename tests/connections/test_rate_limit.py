"""The rate limit of log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.connections import rate_limit
from parallelm.connections.rate_limit import RateLimit

if TYPE_CHECKING:
    import pytest


def test_one_line_an_interval_is_allowed_and_the_first_at_once(monkeypatch: pytest.MonkeyPatch):
    clock = iter([0.0, 0.1, 19.9, 20.0, 20.1, 45.0, 64.9, 65.0])
    monkeypatch.setattr(rate_limit.time, "monotonic", lambda: next(clock))
    limit = RateLimit()
    assert [limit.allows() for _ in range(8)] == [True, False, False, True, False, True, False, True]


def test_limits_do_not_share_their_interval():
    first, second = RateLimit(), RateLimit()
    assert (first.allows(), second.allows(), first.allows()) == (True, True, False)
