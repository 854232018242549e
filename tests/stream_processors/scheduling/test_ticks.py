"""Time passes for many MLApps at once: what is wrong with one of them holds up none of the others."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from parallelm.schemas.records import RunState, RunTransition
from parallelm.stream_processors.mlapp_stage import MLAppHandler
from parallelm.stream_processors.runtime.stored_state import Key
from parallelm.stream_processors.scheduling.state import NodeRuns, Run
from tests.stream_processors.stages import CODEC, NOW, InMemoryRules, Stage

HUGE = "x" * 1_100_000


def run(run_id: str, **more: Any) -> Run:
    """A movable run, whose lease ends now."""
    return Run(
        run_id=run_id, instance=0, cycle=run_id, trigger="event", trigger_id="e", due_ms=NOW, version=1, form="f",
        state=RunState.RUNNING, agent_id="a", epoch=1, accepted=True, **({"lease_ends_ms": NOW} | more),
    )  # fmt: skip


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param((run("r", who=HUGE),), id="a transition too large"),
        pytest.param((run("r"), run("s", who=HUGE, lease_ends_ms=0)), id="state too large"),
    ],
)
def test_an_mlapp_that_cannot_be_judged_stays_as_it_was_and_the_others_go_on(
    runs: tuple[Run, ...], caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(MLAppHandler, InMemoryRules())
    bad, good = Key("node-runs", "bad", "n"), Key("node-runs", "good", "n")
    stage.store.put(bad, NodeRuns("n", runs))
    stage.store.put(good, NodeRuns("n", (run("g"),)))
    stage.store.commit()
    with caplog.at_level(logging.ERROR):
        outputs = stage.batch([], NOW + 1)
        outputs += stage.batch([], NOW + 2)
    (told,) = [CODEC.decode(each.value or b"", RunTransition) for each in outputs]
    assert (told.mlapp_id, told.run_id, told.state) == ("good", "g", RunState.STOPPED)
    assert stage.store.get(bad) == NodeRuns("n", runs)
    assert [each.getMessage().split(" is")[0] for each in caplog.records] == ["MLApp 'bad'"], "told once"
