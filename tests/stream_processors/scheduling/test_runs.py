"""What becomes of runs: due by schedule, parents and triggers; placed, retried, moved, missed, stopped."""

from __future__ import annotations

import json

import pytest

from parallelm.definitions.run_spec import RunSpec
from parallelm.schemas.records import (
    NO_RECORD,
    AgentCommand,
    CommandKind,
    DeploymentState,
    DeploymentTransition,
    ModelPolicy,
    RunReportKind,
    RunState,
)

from .scheduler import HOUR, MINUTE, START_MS, Scheduler, cron, definition, node


def launched(*nodes: object, agents: int = 1, **agent: object) -> Scheduler:
    """An MLApp that was launched, with agents ``a``, ``b`` …"""
    scheduler = Scheduler()
    for index in range(agents):
        scheduler.agent("abcdefgh"[index], **agent)
    scheduler.apply(*nodes)  # type: ignore[arg-type]
    scheduler.act("launch")
    return scheduler


def states(transitions: list, node_id: str | None = None) -> list[str]:  # type: ignore[type-arg]
    return [each.state.value for each in transitions if node_id in {None, each.node_id}]


def spec_of(command: AgentCommand) -> RunSpec:
    return RunSpec.of_json(command.spec_json)


# ---- launching -------------------------------------------------------------------------------------------------


def test_a_launch_is_about_what_was_applied_before_it_though_that_comes_later() -> None:
    scheduler = Scheduler()
    scheduler.agent()
    first, second = definition([node("train")], 1), definition([node("train"), node("report")], 2)
    scheduler.applied = second
    assert states(scheduler.act("launch"))[0] == "launched"
    commands = scheduler.starts()
    assert [each.node_id for each in commands] == ["train", "report"]
    # Each topic has an order of its own: now what was applied is read, and changes nothing more.
    scheduler.apply(record=first)
    scheduler.apply(record=second)
    scheduler.tick()
    assert scheduler.starts() == commands
    assert scheduler.of(CommandKind.STOP) == []
    scheduler.applied = None
    scheduler.remove()
    assert states(scheduler.act("launch")) == ["refused"]


def test_a_launched_node_runs_once_and_tells_each_step() -> None:
    scheduler = launched(node("train"))
    (start,) = scheduler.starts()
    assert (start.agent_id, start.attempt, start.epoch) == ("a", 1, 1)
    assert start.expires_at_ms == START_MS + MINUTE
    spec = spec_of(start)
    assert (spec.mlapp_id, spec.mlapp_name, spec.node_id, spec.run_id) == (
        "app",
        "An app",
        "train",
        start.run_id,
    )
    assert spec.running.steps[0].command == "true"
    assert scheduler.report(RunReportKind.ACCEPTED, start) == []
    assert states(scheduler.started(start)) == ["running"]
    (end,) = scheduler.ended(start)
    assert (end.state, end.trigger, end.who, end.definition_version) == (
        RunState.SUCCEEDED,
        "launch",
        "ann",
        1,
    )
    assert states(scheduler.transitions) == ["launched", "assigned", "running", "succeeded"]
    assert len({each.transition_id for each in scheduler.transitions}) == 4
    assert scheduler.pass_time(HOUR, MINUTE) == []
    assert scheduler.runs("train").due_ms is None


def test_what_comes_again_changes_nothing() -> None:
    scheduler = launched(node("train"))
    (start,) = scheduler.starts()
    scheduler.started(start)
    assert scheduler.started(start) == []
    scheduler.ended(start)
    assert scheduler.ended(start) == []
    assert states(scheduler.act("launch")) == ["refused"]
    assert len(scheduler.starts()) == 1


def test_instances_have_ids_of_their_own_that_stay_over_runs() -> None:
    scheduler = launched(node("train", parallelism=3), agents=2)
    first = {spec_of(each).pipeline_instance_id for each in scheduler.starts()}
    assert len(first) == 3
    assert {each.agent_id for each in scheduler.starts()} == {"a", "b"}  # the one with the fewest runs
    for start in scheduler.starts():
        scheduler.ended(start)
    scheduler.act("run_node", "train")
    again = scheduler.starts()[3:]
    assert {spec_of(each).pipeline_instance_id for each in again} == first
    assert not {each.run_id for each in again} & {each.run_id for each in scheduler.starts()[:3]}


@pytest.mark.parametrize(
    ("action", "node_id", "said"),
    [
        ("pause", "", "it is defined, not launched"),
        ("resume", "", "it is defined, not paused"),
        ("stop", "", "it is not launched, and nothing of it runs"),
        ("run_node", "nobody", "agents run no node 'nobody' of it; they run: train, serve"),
        ("run_node", "serve", "node 'serve' is online: it is kept running while the MLApp is launched"),
        ("stop_run", "", "no run '' of the MLApp is waiting or running"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_its_reason(action: str, node_id: str, said: str) -> None:
    scheduler = Scheduler()
    scheduler.apply(node("train"), node("serve", mode="online"))
    (answer,) = scheduler.act(action, node_id)
    assert answer.state is RunState.REFUSED
    assert answer.reason.endswith(f"refused: {said}")
    assert answer.cause.offset == 2


def test_an_mlapp_whose_nodes_others_start_is_not_launched() -> None:
    scheduler = Scheduler()
    from dataclasses import replace

    scheduler.apply(replace(node("train"), running_json="{}"))
    assert "agents run no node of it" in scheduler.act("launch")[0].reason
    assert states(scheduler.act("archive")) == ["archived"]
    assert states(scheduler.act("delete")) == ["deleted"]
    assert scheduler.remove() == []
    assert len(scheduler.store) == 0


# ---- schedules -------------------------------------------------------------------------------------------------


def test_runs_are_due_by_their_schedule_and_come_once() -> None:
    scheduler = launched(node("etl", schedule=cron("*/10 * * * *")))
    for _ in range(6):
        scheduler.pass_time(scheduler.now_ms - START_MS + 10 * MINUTE)
        scheduler.restart()
        scheduler.ended(scheduler.starts()[-1])
    assert [each.due_at_ms for each in scheduler.told(RunState.ASSIGNED)] == [
        START_MS + count * 10 * MINUTE for count in range(1, 7)
    ]
    assert scheduler.told(RunState.MISSED) == []


@pytest.mark.parametrize(
    ("missed", "overlap", "ran", "said"),
    [("skip", "skip", [], 3), ("run_last", "skip", [3], 2), ("run_all", "queue", [1, 2, 3], 0)],
)
def test_times_that_passed_while_nobody_looked(missed: str, overlap: str, ran: list[int], said: int) -> None:
    scheduler = launched(node("etl", schedule=cron("0 * * * *", missed=missed, overlap=overlap)))
    scheduler.tick(3 * HOUR + 10 * MINUTE)
    while len(scheduler.starts()) > len(scheduler.told(RunState.SUCCEEDED)):
        scheduler.ended(scheduler.starts()[-1])
    assert [each.due_at_ms for each in scheduler.told(RunState.ASSIGNED)] == [
        START_MS + each * HOUR for each in ran
    ]
    assert len(scheduler.told(RunState.MISSED)) == said
    for each in scheduler.told(RunState.MISSED):
        assert "passed while the control plane was away" in each.reason
    scheduler.pass_time(4 * HOUR)
    assert scheduler.told(RunState.ASSIGNED)[-1].due_at_ms == START_MS + 4 * HOUR


def test_many_missed_times_are_told_together() -> None:
    scheduler = launched(node("etl", schedule=cron("* * * * *")))
    scheduler.tick(30 * 24 * HOUR)
    missed = scheduler.told(RunState.MISSED)
    assert len(missed) == 100  # 99 one by one, and all before them
    assert missed[0].due_at_ms == START_MS + MINUTE
    assert "every other time that was due before 2026-01-30T22:21:00Z" in missed[0].reason
    assert scheduler.told(RunState.ASSIGNED)[-1].due_at_ms == scheduler.now_ms


def test_a_run_that_overlaps_is_missed_waits_or_begins_as_the_schedule_says() -> None:
    for overlap, expected in (("skip", ["missed"]), ("queue", ["waiting"]), ("allow", ["assigned"])):
        scheduler = launched(node("etl", schedule=cron("0 * * * *", overlap=overlap)))
        scheduler.pass_time(HOUR, MINUTE)
        scheduler.started(scheduler.starts()[0])
        assert states(scheduler.pass_time(2 * HOUR, MINUTE)) == expected, overlap
        assert states(scheduler.ended(scheduler.starts()[0])) == [
            "succeeded",
            *(["assigned"] if overlap == "queue" else []),
        ]
    assert "waits for run" not in scheduler.transitions[-1].reason


def test_a_run_that_nobody_can_begin_is_missed_after_its_deadline() -> None:
    scheduler = launched(node("etl", schedule=cron("0 * * * *", deadline="5m"), agents={"gpu": "yes"}))
    (waiting,) = scheduler.pass_time(HOUR)
    assert waiting.reason == "waits for an agent with label gpu=yes: there is none; 'a' has not label gpu=yes"
    (missed,) = scheduler.pass_time(HOUR + 6 * MINUTE)
    assert missed.state is RunState.MISSED
    assert missed.reason == f"it did not begin within 5m, its deadline: it {waiting.reason}"


def test_jitter_moves_every_run_of_a_node_by_the_same() -> None:
    scheduler = launched(node("etl", schedule=cron("0 * * * *", jitter="10m", overlap="allow")))
    scheduler.pass_time(5 * HOUR)
    delays = {each.event_time_ms - each.due_at_ms for each in scheduler.told(RunState.ASSIGNED)}
    assert max(delays) - min(delays) <= 2_000
    assert 0 < max(delays) < 10 * MINUTE


def test_a_paused_mlapp_begins_nothing_and_makes_up_for_it_as_its_schedule_says() -> None:
    scheduler = launched(node("etl", schedule=cron("0 * * * *")))
    assert states(scheduler.act("pause")) == ["paused"]
    assert scheduler.pass_time(5 * HOUR, MINUTE) == []
    scheduler.restart()
    scheduler.act("resume")
    found = scheduler.tick()
    assert states(found) == ["missed"] * 4 + ["assigned"]


def test_a_node_can_be_paused_alone_and_run_by_a_person_meanwhile() -> None:
    scheduler = launched(node("etl", schedule=cron("0 * * * *")), node("other", schedule=cron("0 * * * *")))
    scheduler.act("pause", "etl")
    scheduler.pass_time(HOUR, MINUTE)
    assert [each.node_id for each in scheduler.starts()] == ["other"]
    (run,) = scheduler.act("run_node", "etl")
    assert (run.state, run.trigger, run.who) == (RunState.ASSIGNED, "person", "ann")


def test_a_time_that_came_before_a_pause_still_counts() -> None:
    scheduler = launched(node("etl", schedule=cron("0 * * * *")))
    scheduler.pass_time(HOUR - 1_000)
    scheduler.now_ms += 1_500  # due, and no tick yet
    assert states(scheduler.act("pause", "etl")) == ["paused", "waiting"]


def test_a_time_that_came_before_a_new_schedule_still_counts() -> None:
    scheduler = launched(node("etl", schedule=cron("0 * * * *")))
    scheduler.pass_time(HOUR - 1_000)
    scheduler.now_ms += 1_500  # due, and no tick yet
    scheduler.apply(node("etl", schedule=cron("30 * * * *")))
    scheduler.ended(scheduler.starts()[0])
    scheduler.pass_time(2 * HOUR, MINUTE)
    due = [each.due_at_ms - START_MS for each in scheduler.told(RunState.ASSIGNED)]
    assert due == [HOUR, HOUR + 30 * MINUTE]


# ---- parents and triggers --------------------------------------------------------------------------------------


def test_a_child_is_due_when_all_parents_have_succeeded_in_the_cycle() -> None:
    scheduler = launched(
        node("a"), node("b", parallelism=2), node("c", parents=("a", "b")), node("d", parents=("c",))
    )
    a, b1, b2 = scheduler.starts()
    scheduler.ended(a)
    scheduler.ended(b1)
    assert scheduler.starts("c") == []
    found = scheduler.ended(b2)
    assert states(found, "c") == ["assigned"]
    assert found[-1].trigger == "parent"
    scheduler.ended(scheduler.starts("c")[0])
    assert len(scheduler.starts("d")) == 1


def test_a_child_of_a_failed_parent_is_not_due_and_a_trigger_on_failure_is() -> None:
    clean_up = node("clean-up", triggers=[{"after": "a", "on": "failure"}])
    scheduler = launched(
        node("a"),
        node("child", parents=("a",)),
        clean_up,
        node("always", triggers=[{"after": "a", "on": "end"}]),
    )
    scheduler.ended(scheduler.starts("a")[0], "failed", exit_code=3)
    assert scheduler.starts("child") == []
    assert len(scheduler.starts("clean-up")) == len(scheduler.starts("always")) == 1
    assert scheduler.told(RunState.FAILED)[0].reason == "it ended with exit code 3"


def test_an_hourly_and_a_daily_parent_make_an_hourly_child_that_waits_for_both_at_midnight() -> None:
    scheduler = launched(
        node("hourly", schedule=cron("0 * * * *")), node("daily", schedule=cron("0 0 * * *")),
        node("child", parents=("hourly", "daily")),
    )  # fmt: skip
    for _ in range(23):
        scheduler.tick(HOUR)
        scheduler.ended(scheduler.starts("hourly")[-1])
    assert scheduler.starts("child") == []  # the daily one has never succeeded
    scheduler.tick(HOUR)
    scheduler.ended(scheduler.starts("hourly")[-1])
    assert scheduler.starts("child") == []
    scheduler.ended(scheduler.starts("daily")[-1])
    assert len(scheduler.starts("child")) == 1
    scheduler.ended(scheduler.starts("child")[0])
    scheduler.tick(HOUR)
    scheduler.ended(scheduler.starts("hourly")[-1])
    assert len(scheduler.starts("child")) == 2


def test_new_models_and_events_make_runs_due_once() -> None:
    scheduler = launched(
        node("train", kind="model_producer"),
        node("check", triggers=[{"model": "train"}]), node("load", triggers=[{"event": "DataReady"}]),
    )  # fmt: skip
    scheduler.model("train", "m1")
    scheduler.model("other", "m2")
    scheduler.event("DataReady", "e1")
    scheduler.event("DataReady", "e1")
    scheduler.event("Other", "e2")
    (check,), (load,) = scheduler.starts("check"), scheduler.starts("load")
    assert (spec_of(check).trigger, spec_of(load).trigger) == ("model", "data")
    scheduler.event("DataReady", "e3")
    assert scheduler.told(RunState.WAITING)[-1].reason == f"waits for run {load.run_id}, which was due before"
    scheduler.act("pause")
    (missed,) = scheduler.event("DataReady", "e4")
    assert (missed.state, missed.reason) == (RunState.MISSED, "the MLApp was paused")


# ---- failures --------------------------------------------------------------------------------------------------


def test_a_failed_run_is_tried_again_with_growing_pauses_elsewhere() -> None:
    scheduler = launched(node("train", retry={"limit": 2, "delay": "30s", "backoff": 2.0}), agents=2)
    first = scheduler.starts()[0]
    (again,) = scheduler.ended(first, "failed", exit_code=-9)
    assert again.reason == "it was ended by signal 9; retry 1 of 2 in 30s"
    assert again.attempt == 2
    assert scheduler.pass_time(29_000) == []
    scheduler.restart()
    scheduler.pass_time(31_000)
    second = scheduler.starts()[1]
    assert (second.run_id, second.attempt) == (first.run_id, 2)
    assert second.agent_id != first.agent_id
    assert scheduler.ended(first, "failed") == []  # of an attempt that is over
    scheduler.ended(second, "timed_out")
    scheduler.pass_time(32_000 + MINUTE)
    third = scheduler.starts()[2]
    (end,) = scheduler.ended(third, "failed", exit_code=1)
    assert end.state is RunState.FAILED
    assert end.reason == "it ended with exit code 1, the last of 3 attempts"


def test_a_refused_start_is_given_to_another_agent() -> None:
    scheduler = launched(node("train"), agents=2)
    first = scheduler.starts()[0]
    (refused,) = scheduler.report(RunReportKind.REFUSED, first, message="its disk is full")
    assert refused.reason == f"agent {first.agent_id!r} refused it: its disk is full; next attempt in 1s"
    scheduler.tick()
    second = scheduler.starts()[1]
    assert second.agent_id != first.agent_id
    assert second.attempt == 2
    scheduler.started(first)  # it began after all: what is not its own is stopped
    stop, again = scheduler.of(CommandKind.STOP)  # for both of its reports
    assert stop.command_id == again.command_id
    assert (stop.agent_id, stop.run_id, stop.attempt) == (first.agent_id, first.run_id, 1)


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_start_that_no_agent_can_carry_out_ends_with_the_reason(mode: str) -> None:
    scheduler = launched(node("fit", mode=mode), agents=2)
    (start,) = scheduler.starts()
    reason = "a signal does not reach a Pod"
    (told,) = scheduler.report(RunReportKind.REFUSED, start, outcome="failed", message=reason)
    assert told.state is RunState.FAILED
    assert told.reason.endswith(reason)
    scheduler.restart()
    scheduler.pass_time(HOUR, MINUTE)
    assert scheduler.starts() == [start]
    scheduler.act("stop")
    scheduler.act("launch")
    assert len(scheduler.starts()) == 2
    if mode == "online":
        scheduler.report(RunReportKind.REFUSED, scheduler.starts()[1], outcome="failed", message=reason)
        scheduler.apply(node("fit", mode=mode, stop_grace="1m"))
        assert len(scheduler.starts()) == 3


def test_a_pinned_run_is_unreachable_with_its_agent_and_never_moved() -> None:
    scheduler = launched(node("train"), agents=2)
    start = scheduler.starts()[0]
    scheduler.started(start)
    scheduler.agent(start.agent_id, heard_of=False)
    assert states(scheduler.tick()) == ["unreachable"]
    assert scheduler.pass_time(24 * HOUR, HOUR) == []
    scheduler.agent(start.agent_id, heard_of=True)
    assert states(scheduler.tick()) == ["running"]
    assert states(scheduler.ended(start)) == ["succeeded"]
    assert len(scheduler.starts()) == 1


def test_a_movable_run_goes_elsewhere_when_its_lease_is_over_and_not_before() -> None:
    scheduler = launched(node("serve", mode="online", placement="movable", lease="30s"), agents=2)
    first = scheduler.starts()[0]
    scheduler.started(first)
    for _ in range(30):
        scheduler.tick(6_000)
        scheduler.report(
            RunReportKind.RENEWED,
            first,
            run_id="",
            node_id="",
            attempt=0,
            runs=(first.run_id,),
            attempts=(1,),
        )
    assert len(scheduler.starts()) == 1
    renewed_ms = scheduler.now_ms
    scheduler.agent(first.agent_id, heard_of=False)
    while len(scheduler.starts()) == 1:
        scheduler.tick(1_000)
    assert scheduler.now_ms - renewed_ms == 31_000
    second = scheduler.starts()[1]
    assert (second.run_id, second.attempt) == (first.run_id, 2)
    assert second.agent_id != first.agent_id
    # The first comes back and still speaks of it.
    scheduler.report(RunReportKind.RENEWED, first, run_id="", attempt=0, runs=(first.run_id,), attempts=(1,))
    stop = scheduler.of(CommandKind.STOP)[-1]
    assert (stop.agent_id, stop.attempt) == (first.agent_id, 1)


def test_runs_of_a_removed_agent_are_lost_and_its_services_begin_elsewhere() -> None:
    scheduler = launched(node("train"), node("serve", mode="online"), agents=2)
    train, serve = scheduler.starts("train")[0], scheduler.starts("serve")[0]
    scheduler.started(train)
    scheduler.started(serve)
    del scheduler.agents[train.agent_id]
    scheduler.agents.pop(serve.agent_id, None)
    scheduler.agent("c")
    scheduler.pass_time(MINUTE)
    assert scheduler.told(RunState.LOST, "train")[0].reason == f"agent {train.agent_id!r} was removed"
    assert scheduler.starts("serve")[-1].agent_id == "c"
    assert len(scheduler.starts("train")) == 1


def test_an_agent_that_was_installed_anew_does_not_know_its_runs() -> None:
    scheduler = launched(node("train", retry={"limit": 1}))
    start = scheduler.starts()[0]
    scheduler.agent("a", epoch=2)
    assert scheduler.tick() == []  # the start may still be on its way to the old one
    scheduler.pass_time(62_000)
    again = scheduler.starts()[1]
    assert (again.attempt, again.epoch) == (2, 2)
    scheduler.started(again)
    scheduler.agent("a", epoch=3)
    (waiting,) = scheduler.tick()
    assert "installed anew" in waiting.reason
    assert start.run_id == waiting.run_id


def test_a_start_that_never_reached_its_agent_is_given_up_when_that_is_installed_anew() -> None:
    silent = launched(node("train"))
    silent.agent("a", heard_of=False)
    assert states(silent.tick()) == ["unreachable"]
    silent.agent("a", heard_of=True, epoch=2)
    assert silent.tick() == []
    silent.pass_time(63_000)
    assert [each.epoch for each in silent.starts()] == [1, 2]
    stopped = launched(node("train"))
    stopped.act("stop")
    stopped.agent("a", epoch=2)
    assert states(stopped.pass_time(63_000)) == ["stopped"]


# ---- models ----------------------------------------------------------------------------------------------------


def transition(model_id: str, state: DeploymentState, previous: DeploymentState) -> DeploymentTransition:
    return DeploymentTransition(
        event_time_ms=START_MS, decided_at_ms=START_MS, transition_id=f"{model_id} {state}", deployment_id="d",
        mlapp_id="app", node_id="serve", model_id=model_id, state=state, previous_state=previous, reason="r",
        policy=ModelPolicy.ALWAYS_UPDATE, who="", related_model_id="", agent_id="", cause=NO_RECORD,
    )  # fmt: skip


def test_a_node_that_had_a_model_on_trial_goes_back_to_its_default_model() -> None:
    scheduler = launched(
        node("train"), node("serve", mode="online", kind="model_consumer", default_model="m1")
    )
    scheduler.model("train", "m1")
    scheduler.model("train", "m2")
    start = scheduler.starts("serve")[0]
    scheduler.started(start)
    scheduler.report(RunReportKind.MODEL_ACCEPTED, start, model_id="m2")
    scheduler.deployment(transition("m2", DeploymentState.FAILED, DeploymentState.CANARY))
    (delivery,) = scheduler.of(CommandKind.DELIVER_MODEL)
    assert json.loads(delivery.spec_json)["model_id"] == "m1"


def test_a_run_that_is_ending_is_given_no_model_and_refuses_none() -> None:
    scheduler = launched(node("train"), node("serve", mode="online", kind="model_consumer"))
    scheduler.model("train", "m1")
    start = scheduler.starts("serve")[0]
    scheduler.started(start)
    requested = transition("m1", DeploymentState.REQUESTED, DeploymentState.UNKNOWN)
    scheduler.deployment(requested)
    assert scheduler.may_refuse(start)
    scheduler.act("stop")
    assert not scheduler.may_refuse(start)
    scheduler.deployment(requested)
    assert len(scheduler.of(CommandKind.DELIVER_MODEL)) == 1
    scheduler.ended(start, "stopped")
    assert not scheduler.may_refuse(start)


def test_a_service_that_waits_for_a_model_begins_with_the_first_that_is_deployed() -> None:
    scheduler = launched(node("train"), node("serve", mode="online", kind="model_consumer"))
    for _ in range(9):
        scheduler.ended(scheduler.starts("serve")[-1], "failed", message="model has no value")
        scheduler.pass_time(scheduler.now_ms - START_MS + 5 * MINUTE, MINUTE)
    failed = scheduler.starts("serve")[-1]
    scheduler.ended(failed, "failed", message="model has no value")
    scheduler.tick()
    assert scheduler.starts("serve")[-1] == failed, "it waits minutes by now"
    scheduler.model("train", "m1")
    scheduler.deployment(transition("m1", DeploymentState.REQUESTED, DeploymentState.UNKNOWN))
    assert scheduler.starts("serve")[-1] != failed


def test_a_service_that_waits_begins_when_its_definition_changes() -> None:
    scheduler = launched(node("serve", mode="online", restart={"delay": "5m"}))
    scheduler.ended(scheduler.starts()[0], "failed")
    scheduler.apply(node("serve", mode="online", environment={"A": "1"}))
    assert spec_of(scheduler.starts()[1]).running.environment == {"A": "1"}


# ---- services --------------------------------------------------------------------------------------------------


def test_a_service_is_kept_up_later_the_more_often_it_fails() -> None:
    scheduler = launched(node("serve", mode="online", restart={"delay": "1s", "max_delay": "1m"}))
    gaps = []
    for _ in range(8):
        start = scheduler.starts()[-1]
        scheduler.started(start)
        scheduler.ended(start, "failed", exit_code=1)
        since, count = scheduler.now_ms, len(scheduler.starts())
        scheduler.restart()
        while len(scheduler.starts()) == count:
            scheduler.tick(1_000)
        gaps.append(scheduler.now_ms - since)
    assert gaps == [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
    assert len({each.run_id for each in scheduler.starts()}) == 9


def test_a_service_that_is_done_stays_down_until_the_next_launch() -> None:
    scheduler = launched(node("serve", mode="online", restart={"when": "on_failure"}))
    scheduler.ended(scheduler.starts()[0])
    scheduler.pass_time(HOUR, MINUTE)
    assert len(scheduler.starts()) == 1
    scheduler.act("stop")
    scheduler.act("launch")
    assert len(scheduler.starts()) == 2


def test_a_pinned_service_stays_with_its_agent_and_a_movable_one_leaves_an_agent_that_drains() -> None:
    scheduler = launched(node("pinned", mode="online"), node("movable", mode="online", placement="movable"))
    scheduler.agent("b")
    pinned, movable = scheduler.starts("pinned")[0], scheduler.starts("movable")[0]
    scheduler.started(pinned)
    scheduler.started(movable)
    scheduler.agent("a", state="draining")
    scheduler.tick()
    (stop,) = scheduler.of(CommandKind.STOP)
    assert (stop.node_id, stop.reason) == ("movable", "agent 'a' drains")
    scheduler.ended(movable, "stopped")
    assert scheduler.starts("movable")[1].agent_id == "b"
    (waiting, told) = scheduler.ended(pinned, "stopped")
    assert told.reason == "waits for agent 'a', which it is pinned to: is draining"
    scheduler.agent("a", state="ready")
    scheduler.tick()
    assert scheduler.starts("pinned")[1].agent_id == "a"
    assert waiting.attempt == 2


def test_a_changed_service_starts_anew_and_an_unchanged_one_goes_on() -> None:
    scheduler = launched(node("serve", mode="online"), node("other", mode="online"))
    serve, other = scheduler.starts()
    scheduler.started(serve)
    scheduler.started(other)
    scheduler.apply(node("serve", mode="online", environment={"A": "1"}), node("other", mode="online"))
    (stop,) = scheduler.of(CommandKind.STOP)
    assert stop.run_id == serve.run_id
    scheduler.ended(serve, "stopped")
    again = scheduler.starts("serve")[1]
    assert spec_of(again).running.environment == {"A": "1"}
    assert spec_of(again).definition_version == 2
    assert len(scheduler.starts("other")) == 1


def test_fewer_instances_stop_the_last_and_more_start_others() -> None:
    scheduler = launched(node("serve", mode="online", parallelism=2))
    scheduler.apply(node("serve", mode="online", parallelism=1))
    stopped = {each.run_id for each in scheduler.of(CommandKind.STOP)}
    assert {spec_of(each).instance for each in scheduler.starts() if each.run_id in stopped} >= {1}


# ---- stopping --------------------------------------------------------------------------------------------------


def test_stopping_an_mlapp_stops_its_runs_and_says_when_they_have_ended() -> None:
    scheduler = launched(node("train"), node("serve", mode="online"), node("etl", schedule=cron("0 * * * *")))
    scheduler.act("run_node", "train")  # waits for the first
    train, serve = scheduler.starts()
    scheduler.started(train)
    found = scheduler.act("stop")
    assert sorted(states(found)) == ["stopped", "stopped", "stopping", "stopping"]
    assert states(scheduler.act("archive")) == ["refused"]
    assert states(scheduler.ended(train, "stopped")) == ["stopped"]
    assert states(scheduler.report(RunReportKind.REFUSED, serve)) == ["stopped"]
    assert scheduler.open_runs() == set()
    assert scheduler.pass_time(3 * HOUR, MINUTE) == []
    assert states(scheduler.act("archive")) == ["archived"]
    assert states(scheduler.act("launch"), "") == ["launched"]


def test_a_run_whose_agent_will_never_answer_is_given_up_by_force() -> None:
    scheduler = launched(node("train"))
    (start,) = scheduler.starts()
    scheduler.started(start)
    scheduler.agent("a", heard_of=False)
    scheduler.tick()
    assert states(scheduler.act("stop_run", target=start.run_id)) == ["stopping"]
    assert "--force" in scheduler.act("stop_run", target=start.run_id)[0].reason
    assert states(scheduler.act("stop_run", target=start.run_id, force="true")) == ["lost"]
    assert scheduler.open_runs() == set()


def test_a_removed_node_and_a_removed_mlapp_stop_what_runs_and_are_forgotten() -> None:
    scheduler = launched(node("a"), node("b"))
    a, b = scheduler.starts()
    scheduler.started(a)
    scheduler.started(b)
    assert states(scheduler.apply(node("a"))) == ["stopping"]
    scheduler.ended(b, "stopped")
    scheduler.remove()
    scheduler.ended(a, "stopped")
    assert scheduler.open_runs() == set()
    scheduler.restart()
    assert len(scheduler.store) == 0


def test_a_run_that_outlives_its_time_limit_is_stopped_from_here() -> None:
    scheduler = launched(node("train", time_limit="10m"))
    (start,) = scheduler.starts()
    scheduler.started(start)
    assert scheduler.pass_time(10 * MINUTE, MINUTE) == []
    assert states(scheduler.pass_time(13 * MINUTE, MINUTE)) == ["stopping"]
    (end,) = scheduler.ended(start, "stopped")
    assert end.state is RunState.FAILED


# ---- bounds ----------------------------------------------------------------------------------------------------


def test_state_stays_within_a_record_with_as_many_runs_as_there_can_be() -> None:
    scheduler = launched(node("many", parallelism=1_000, mode="online"), agents=8)
    for start in scheduler.starts():
        scheduler.started(start)
    assert len(scheduler.runs("many").runs) == 1_000
    key = next(key for key, _ in scheduler.store.all_of("node-runs"))
    record = scheduler.store.encode(key)
    assert record is not None
    assert len(record.body) < 900_000
    assert json.loads(record.body)["node_id"] == "many"


def test_runs_that_wait_for_many_silent_agents_with_long_names_stay_within_a_record() -> None:
    scheduler = Scheduler()
    for number in range(20):
        scheduler.agent(f"{number:02}-" + "x" * 120, heard_of=False)
    scheduler.apply(node("many", parallelism=1_000, mode="online"))
    scheduler.act("launch")
    waiting = scheduler.told(RunState.WAITING)
    assert len(waiting) == 1_000
    assert "is not heard of and 15 more" in waiting[0].reason
    key = next(key for key, _ in scheduler.store.all_of("node-runs"))
    record = scheduler.store.encode(key)
    assert record is not None
    assert len(record.body) < 900_000 * 1_000 / 1_200
    assert scheduler.tick() == [], "it is told once what they wait for"


def test_a_storm_of_triggers_is_bounded_and_what_does_not_fit_is_told() -> None:
    scheduler = launched(node("load", triggers=[{"event": "DataReady"}]))
    for number in range(150):
        scheduler.event("DataReady", f"e{number}")
    assert len(scheduler.runs("load").runs) == 101
    assert len(scheduler.told(RunState.MISSED)) == 49
    assert "100 earlier runs of the node wait already" in scheduler.told(RunState.MISSED)[0].reason
