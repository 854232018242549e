"""What a notifier says of its health, by the times of what happens to it."""

from __future__ import annotations

from parallelm.stream_processors.notifications.edge.health import NotifierHealth


def test_a_loop_that_does_not_run_hangs() -> None:
    health = NotifierHealth(ran_at_s=100.0)
    assert health.hangs(120.0) == ""
    assert health.hangs(145.0) == "the notifier's loop has not run for 45 s"
    health.runs(146.0)
    assert health.hangs(150.0) == ""


def test_a_broker_that_is_away_for_long_is_told_with_its_reason_until_it_works_again() -> None:
    health = NotifierHealth(ran_at_s=0.0)
    assert health.stalls(1000.0) == ""
    health.is_away("no broker answers", 1000.0)
    assert health.stalls(1030.0) == ""
    health.is_away("it still does not", 1031.0)
    assert health.stalls(1040.0) == "nothing can be sent for 40 s: it still does not"
    health.works()
    assert health.stalls(1041.0) == ""
    health.is_away("again", 1050.0)
    assert health.stalls(1060.0) == ""
