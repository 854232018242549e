"""Whatever comes in, in whatever order: alerts are legal, restarts and other MLApps change nothing, and state goes."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from parallelm.stream_processors.mlapp_stage import DEPLOYMENTS_OF
from parallelm.stream_processors.series_stage import handler

from .legal import assert_legal
from .stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NODES = ("  - {id: n, type: model_producer}\n", "  - {id: m, type: model_consumer}\n")
RULES = (
    "name: high, type: threshold, statistic: x, above: 0.5",
    "name: high, type: threshold, statistic: x, above: 0.5, for: 2m",
    "name: high, type: threshold, statistic: x, above: 0.7, labels: {node: other}",
    "name: high, type: threshold, statistic: x, above: 0.5, grace: 1m, stale_after: 10m",
    "name: quiet, type: threshold, statistic: x, above: 2, no_data: alerting, stale_after: 10m",
    "name: sum, type: threshold, statistic: x, above: 1, aggregate: sum, window: 1m, by: [node]",
    "name: drift, type: health, threshold: 0.4, for: 1m",
)
MLAPPS, MODELS, TOPICS = (
    ("one", "two"),
    ("m1", "m2"),
    ("mlapps", "rule-aggregates", "events", "actions", "models"),
)
mlapps = st.sampled_from(MLAPPS)
values = st.sampled_from([0.1, 0.6, 0.9, float("nan")])
times = st.sampled_from([0, 0, 0, -MINUTE, -HOUR, MINUTE, 365 * DAY])
places = st.fixed_dictionaries(
    {
        "node": st.sampled_from(["n", "m"]),
        "pipeline": st.sampled_from(["", "p"]),
        "agent": st.sampled_from(["a", "b"]),
    }
)
Said = dict[str, list[tuple[Any, ...]]]


def said(stages: Stages, mlapp: str | None = None) -> Said:
    """What is said of each alert, one after the other."""
    found: Said = defaultdict(list)
    for each in stages.alerts:
        if mlapp in {None, each.mlapp_id}:
            step = (each.state, each.previous_state, each.event_time_ms, each.started_at_ms, each.reason)
            found[each.fingerprint].append(step)
    return dict(found)


class Machine(RuleBasedStateMachine):
    """The stages, the same without restarts, and the same with one MLApp alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stages, self.steady = Stages(), Stages()
        self.alone = {mlapp: Stages() for mlapp in MLAPPS}
        self.counted = 0

    def do(self, mlapp: str, action: Callable[[Stages], object]) -> None:
        """One thing happens to all of them, a moment after the one before."""
        for each in (self.stages, self.steady, *self.alone.values()):
            each.now_ms += 1_000
        for each in (self.stages, self.steady, self.alone[mlapp]):
            action(each)

    def time(self, stages: Stages, offset_ms: int) -> int:
        """An event time that nothing else has."""
        return (stages.now_ms + offset_ms) // 1_000 * 1_000 + self.counted % 1_000

    @initialize()
    def begin(self) -> None:
        for mlapp in MLAPPS:
            self.apply(mlapp, [RULES[0], RULES[5], RULES[6]], NODES)

    @rule(mlapp=mlapps, rules=st.lists(st.sampled_from(RULES), unique_by=lambda text: text[:9]), nodes=st.sampled_from([NODES, NODES, NODES[:1]]))  # fmt: skip
    def apply(self, mlapp: str, rules: list[str], nodes: tuple[str, ...]) -> None:
        alerts = "alerts:\n" + "".join(f"  - {{{each}}}\n" for each in rules) if rules else ""
        self.do(mlapp, lambda stages: stages.apply("nodes:\n" + "".join(nodes) + alerts, mlapp))
        self.do(mlapp, Stages.notice)

    @rule(mlapp=mlapps)
    def remove(self, mlapp: str) -> None:
        self.do(mlapp, lambda stages: stages.remove(mlapp))
        self.do(mlapp, Stages.notice)

    @rule(mlapp=mlapps, found=st.lists(st.tuples(values, times), min_size=1, max_size=6), place=places)
    def samples(self, mlapp: str, found: list[tuple[float, int]], place: dict[str, str]) -> None:
        for value, offset_ms in found:
            self.counted += 1
            self.do(
                mlapp,
                lambda stages, value=value, offset_ms=offset_ms: stages.sample(  # type: ignore[misc]
                    value, self.time(stages, offset_ms), mlapp=mlapp, **place
                ),
            )

    @rule(mlapp=mlapps, value=values, model=st.sampled_from(MODELS), agent=st.sampled_from(["a", "b"]))
    def similarity(self, mlapp: str, value: float, model: str, agent: str) -> None:
        self.counted += 1
        self.do(
            mlapp,
            lambda stages: stages.sample(
                value, self.time(stages, 0), name="h.overlapResult", model=model, mlapp=mlapp, node="m", agent=agent,
                labels={"line": "overlapScore_temp"},
            ),
        )  # fmt: skip

    @rule(mlapp=mlapps, kind=st.sampled_from(["GenericDataAlert", "CanaryHealth"]), offset_ms=times, healthy=st.booleans(), place=places)  # fmt: skip
    def component(self, mlapp: str, kind: str, offset_ms: int, healthy: bool, place: dict[str, str]) -> None:
        self.counted += 1
        data = b'{"isHealthy": true}' if healthy else b""
        self.do(mlapp, lambda stages: stages.event(kind, self.time(stages, offset_ms), data=data, mlapp=mlapp, **place))  # fmt: skip

    @rule(mlapp=mlapps, model=st.sampled_from(MODELS))
    def announce(self, mlapp: str, model: str) -> None:
        self.do(mlapp, lambda stages: stages.model(model, mlapp))

    @rule(mlapp=mlapps, model=st.sampled_from(MODELS), agent=st.sampled_from(["a", "b"]))
    def accept(self, mlapp: str, model: str, agent: str) -> None:
        self.do(mlapp, lambda stages: stages.event("ModelAccepted", is_alert=False, model=model, mlapp=mlapp, node="m", agent=agent))  # fmt: skip

    @rule(action=st.sampled_from(["acknowledge", "close"]), by=st.sampled_from(["alert_id", "fingerprint"]), at=st.integers(0, 50), offset_ms=times)  # fmt: skip
    def act(self, action: str, by: str, at: int, offset_ms: int) -> None:
        if self.steady.alerts:
            alert = self.steady.alerts[-1 - at % len(self.steady.alerts)]
            target, mlapp = getattr(alert, by), alert.mlapp_id
            self.do(mlapp, lambda stages: stages.act(action, target, mlapp=mlapp, at_ms=stages.now_ms + offset_ms))  # fmt: skip

    @rule(mlapp=mlapps, topic=st.sampled_from(TOPICS), count=st.integers(1, 5))
    def deliver(self, mlapp: str, topic: str, count: int) -> None:
        for _ in range(count):
            self.do(mlapp, lambda stages: stages.deliver(topic, mlapp))

    @rule()
    def settle(self) -> None:
        for each in (self.stages, self.steady, *self.alone.values()):
            each.settle()

    @rule(duration_ms=st.sampled_from([1_000, MINUTE, 10 * MINUTE, HOUR, DAY, 40 * DAY]))
    def wait(self, duration_ms: int) -> None:
        for each in (self.stages, self.steady, *self.alone.values()):
            each.wait(duration_ms)

    @rule(which=st.sampled_from(["series", "mlapp", "both"]))
    def restart(self, which: str) -> None:
        if which != "mlapp":
            self.stages.series.restart()
        if which != "series":
            self.stages.mlapp.restart()

    @invariant()
    def alerts_are_legal(self) -> None:
        assert_legal(self.stages.alerts)
        assert self.stages.letters == []

    @invariant()
    def a_restart_changes_nothing(self) -> None:
        assert said(self.stages) == said(self.steady)

    @invariant()
    def no_mlapp_changes_another(self) -> None:
        for mlapp, alone in self.alone.items():
            assert said(self.stages, mlapp) == said(alone)

    def teardown(self) -> None:
        for mlapp in MLAPPS:
            self.remove(mlapp)
        for _ in range(3):
            self.wait(40 * DAY)
        assert self.stages.open() == {}
        assert self.stages.series.stored == {}
        left = {tuple(json.loads(key)) for key in self.stages.mlapp.stored}
        assert {kind for kind, _, _ in left} <= {DEPLOYMENTS_OF}


def test_alerts_are_legal_and_restarts_and_other_mlapps_change_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handler, "REFRESH_INTERVAL_S", -1.0)
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None, print_blob=True)
    )
