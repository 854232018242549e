"""When the steps of a run start again by themselves: pure, the times of before come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallelm.agent.keeping.plan import RestartPlan

_MOST_DOUBLINGS = 60


class RestartHistory:
    """What has been restarted so far."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        """When, within the window."""
        self.in_a_row = 0
        """Restarts since the program last ran long enough to be called well."""


def next_delay_s(
    plan: RestartPlan | None, history: RestartHistory, *, exit_code: int, ran_s: float, now_s: float
) -> float | None:
    """Seconds until the next start, which the history then holds; None: the run has ended.

    Each start in a row doubles the delay; a program that ran for ``max_delay_s`` begins again with the first.
    """
    if plan is None or plan.when == "never" or (plan.when == "on_failure" and exit_code == 0):
        return None
    history.at_s = [at_s for at_s in history.at_s if now_s - at_s < plan.window_s]
    if plan.limit and len(history.at_s) >= plan.limit:
        return None
    if ran_s >= plan.max_delay_s:
        history.in_a_row = 0
    delay_s = min(plan.delay_s * 2.0 ** min(history.in_a_row, _MOST_DOUBLINGS), plan.max_delay_s)
    if plan.limit:
        history.at_s.append(now_s)
    else:
        history.at_s.clear()
    history.in_a_row += 1
    return delay_s
