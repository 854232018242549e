"""``mcenter models``: a person reviews, deploys, rolls back, and asks what was live when, on the whole platform."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.waiting import wait_for

if TYPE_CHECKING:
    from .conftest import Decisions

DEFINITION = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, consumes: [train], policy: {model_policy: manual}}
"""


class Models:
    """Models of one test: ids are unique over the tests of this file, so that beginnings of them are, too."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self.mlapp = decisions.cluster.mlapp
        self.one, self.two = "one-of-two", "two-of-two"

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        found = self._decisions.run("model", *arguments, "--mlapp", self.mlapp)
        assert found.exit_code == exit_code, found.output
        return found.output

    def act(self, *arguments: str, exit_code: int = 0) -> str:
        return self.run(*arguments, "--who", "anna", "--comment", "as agreed", exit_code=exit_code)

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        found = self._decisions.run("model", *arguments, "--mlapp", self.mlapp, "--format", "json")
        assert found.exit_code == 0, found.output
        return list(json.loads(found.stdout))

    def wait_for_states(self, *states: str) -> None:
        """Until the table has these decisions, in their order."""
        wait_for(
            lambda: (
                [f"{row['model_id'][:3]} {row['state']}" for row in self.rows("history")][-len(states) :]
                == list(states)
            ),
            lambda: f"{states}, not {self.rows('history')}",
        )


def two_models(decisions: Decisions) -> Models:
    """The first was approved and is live, the second awaits its review; both have reported their accuracy."""
    models, cluster = Models(decisions), decisions.cluster
    cluster.apply(DEFINITION)
    for day, model, accuracy in ((1, models.one, 0.8), (3, models.two, 0.9)):
        for n in range(20):
            cluster.statistic(day + n / 100, "accuracy", accuracy + n / 1000, model=model)
        cluster.model(day, model)
        cluster.flush()
        models.wait_for_states(f"{model[:3]} awaiting_approval")
        if model == models.one:
            out = models.act("approve", "--event-time", "2013-01-02T12:00")
            assert out == f"predict: {model} requested: anna approved it: as agreed\n"
            cluster.accept(2, model)
            cluster.flush()
            models.wait_for_states("one accepted", "one active")
    return models


def test_a_pending_review_shows_the_models_metrics_beside_those_of_the_live_one(decisions: Decisions) -> None:
    models = two_models(decisions)
    (pending,) = models.rows("list", "--pending")
    assert (pending["model_id"], pending["state"]) == (models.two, "awaiting_approval")
    shown = models.run("show", "two")
    assert "awaiting_approval" in shown
    assert "\\n" not in shown
    assert f"{models.two} beside {models.one} (other)" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("accuracy")]
    assert " 20 " in line
    assert "0.9095" in line
    assert "0.8095" in line
    assert "accuracy" in models.run("compare", "two", "one")


def test_a_model_is_approved_rolled_back_and_pinned_and_each_answer_is_printed(decisions: Decisions) -> None:
    models = two_models(decisions)
    models.act("approve", "two")
    decisions.cluster.accept(4, models.two)
    decisions.cluster.flush()
    models.wait_for_states("two accepted", "two active", "one superseded")
    again = models.act("approve", "two", exit_code=1)
    assert again == (
        f"predict: {models.two} refused: approve refused: model {models.two} is not pending on the node: "
        "it is active (by anna)\n"
    )
    rolled_back = models.act("rollback", "--event-time", "2013-01-06")
    assert [line.split(":")[1].strip() for line in rolled_back.splitlines()] == [
        f"{models.two} rolled_back",
        f"{models.one} requested",
    ]
    decisions.cluster.accept(6, models.one)
    decisions.cluster.flush()
    models.wait_for_states("one accepted", "one active")
    assert "anna pinned it: as agreed" in models.act("pin")
    assert "anna has pinned the node" in models.act("deploy", "two", exit_code=1)
    assert "unpinned" in models.act("unpin")
    # What was live last Tuesday, and why.
    live = {
        at: models.rows("live", "--at", at)
        for at in ("2013-01-02", "2013-01-04", "2013-01-05T12:00", "2013-01-08")
    }
    assert [[(row["model_id"][:3], row["attempt"]) for row in rows] for rows in live.values()] == [
        [],
        [("one", 1)],
        [("two", 2)],
        [("one", 3)],
    ]
    assert live["2013-01-05T12:00"][0]["decided_reason"] == "anna approved it: as agreed"
    assert "anna rolled it back" in live["2013-01-08"][0]["decided_reason"]
    wait_for(
        lambda: len(models.rows("history")) == 17,
        lambda: f"{len(models.rows('history'))} decisions, 17 wanted",
    )
    assert {row["who"] for row in models.rows("history")} == {"", "anna"}


def test_what_does_not_exist_is_refused_with_what_there_is(decisions: Decisions) -> None:
    models = two_models(decisions)
    assert f"has no model 'nine'; the latest are: {models.one}, {models.two}" in models.act(
        "approve", "nine", exit_code=1
    )
    assert "no node 'train' that consumes models; there are: predict" in models.act(
        "approve", "--node", "train", exit_code=1
    )
    models.mlapp = "none"
    assert "there is no MLApp 'none'; there are: " in models.act("approve", exit_code=1)
