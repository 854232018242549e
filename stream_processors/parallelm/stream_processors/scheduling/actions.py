"""What people decide about MLApps, nodes and runs. Every action is answered by a transition that it is the cause of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.schemas.records import RunState
from parallelm.schemas.well_known import (
    ARCHIVE,
    BY_LAUNCH,
    BY_PERSON,
    DELETE,
    FORCE,
    LAUNCH,
    LOST,
    PAUSE,
    RESUME,
    RUN_NODE,
    STOP,
    STOP_RUN,
)
from parallelm.stream_processors.scheduling import cycles, timetable
from parallelm.stream_processors.scheduling.ending import End, settle
from parallelm.stream_processors.scheduling.state import ON_AGENT, EndsAs, Life
from parallelm.stream_processors.scheduling.stopping import stop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.schemas.records import UserAction
    from parallelm.stream_processors.scheduling.plans import NodePlan
    from parallelm.stream_processors.scheduling.work import Work

    Act = Callable[[Work, UserAction], str]
    """Does it; what it returns is why it was refused, empty when it was done."""

_IN_FORCE = frozenset({Life.LAUNCHED, Life.PAUSED})


def on_action(work: Work, action: UserAction) -> None:
    """Do it, or say why not."""
    if not work.app.version:
        refusal = f"there is no MLApp {work.app.mlapp_id!r}"
    else:
        timetable.catch_up(work)
        refusal = ACTIONS[action.action](work, action)
    if refusal:
        reason = f"{_NAMES.get(action.action, action.action)} refused: {refusal}"
        work.answer(RunState.REFUSED, reason, node_id=action.node_id, run_id=action.target)


def _launch(work: Work, action: UserAction) -> str:
    if work.app.life is Life.LAUNCHED:
        return f"it was launched already, by {work.app.who}"
    if work.app.life is Life.PAUSED:
        return "it is paused; resume it"
    if not work.app.plans:
        return "agents run no node of it: give a node `steps`, or start its programs yourself"
    work.app = replace(work.app, life=Life.LAUNCHED, launch_id=action.action_id, who=action.who)
    work.answer(RunState.LAUNCHED, _because("launched it", action))
    for plan in work.app.plans:
        node = work.node(plan.node_id)
        fresh = tuple(
            replace(each, starts=0, failures=0, not_before_ms=0, is_done=False, refused_form="")
            for each in node.services
        )
        work.put(replace(node, paused=False, services=fresh))
        timetable.plan_next(work, plan, after_ms=work.now_ms)
        if _begins_at_launch(work, plan):
            cycles.begin(work, plan, BY_LAUNCH, action.action_id)
    return ""


def _begins_at_launch(work: Work, plan: NodePlan) -> bool:
    """An offline node that nothing else makes due runs once."""
    running = plan.running
    return not (plan.is_online or running.schedule or running.triggers or cycles.offline_parents(work, plan))


def _stop(work: Work, action: UserAction) -> str:
    open_runs = [(node.node_id, run) for node in work.nodes.values() for run in node.runs]
    if work.app.life not in _IN_FORCE and not open_runs:
        return "it is not launched, and nothing of it runs"
    reason = _because("stopped the MLApp", action)
    if work.app.life in _IN_FORCE:
        work.app = replace(work.app, life=Life.STOPPED)
    work.answer(RunState.STOPPED, reason)
    for plan in work.app.plans:
        timetable.plan_next(work, plan)
    for node_id, run in open_runs:
        stop(work, node_id, run, reason)
    return ""


def _pause(work: Work, action: UserAction) -> str:
    if work.app.life is not Life.LAUNCHED:
        return f"it is {work.app.life.value}, not launched"
    if action.node_id:
        plan = work.plan(action.node_id)
        if plan is None:
            return _no_node(work, action.node_id)
        node = work.node(plan.node_id)
        if node.paused:
            return "the node is paused already"
        work.put(replace(node, paused=True))
        timetable.plan_next(work, plan)
    else:
        work.app = replace(work.app, life=Life.PAUSED)
        for plan in work.app.plans:
            timetable.plan_next(work, plan)
    work.answer(RunState.PAUSED, _because("paused it", action), node_id=action.node_id)
    return ""


def _resume(work: Work, action: UserAction) -> str:
    if action.node_id:
        plan = work.plan(action.node_id)
        if plan is None:
            return _no_node(work, action.node_id)
        node = work.node(plan.node_id)
        if not node.paused:
            return "the node is not paused"
        work.put(replace(node, paused=False))
        timetable.plan_next(work, plan)
    elif work.app.life is not Life.PAUSED:
        return f"it is {work.app.life.value}, not paused"
    else:
        work.app = replace(work.app, life=Life.LAUNCHED)
        for plan in work.app.plans:
            timetable.plan_next(work, plan)
    work.answer(RunState.RESUMED, _because("resumed it", action), node_id=action.node_id)
    return ""


def _run_node(work: Work, action: UserAction) -> str:
    plan = work.plan(action.node_id)
    if plan is None:
        return _no_node(work, action.node_id)
    if plan.is_online:
        return f"node {plan.node_id!r} is online: it is kept running while the MLApp is launched"
    if work.app.life is Life.ARCHIVED:
        return "the MLApp is archived; launch it"
    cycles.begin(work, plan, BY_PERSON, action.action_id)
    return ""


def _stop_run(work: Work, action: UserAction) -> str:
    for node in work.nodes.values():
        run = node.run(action.target)
        if run is None:
            continue
        reason = _because("stopped it", action)
        if action.parameters.get(FORCE) == "true" and run.state in ON_AGENT:
            given_up = work.change(node.node_id, run, ends_as=EndsAs.STOPPED)
            settle(work, node.node_id, given_up, End(LOST, _because("gave it up", action)))
        elif run.state is RunState.STOPPING:
            return "it is stopping already; give it up with --force when its agent will never answer"
        else:
            stop(work, node.node_id, run, reason)
        return ""
    return f"no run {action.target!r} of the MLApp is waiting or running"


def _archive(work: Work, action: UserAction) -> str:
    refusal = _still_at_work(work)
    if refusal:
        return refusal
    if work.app.life is Life.ARCHIVED:
        return "it is archived already"
    work.app = replace(work.app, life=Life.ARCHIVED)
    work.answer(RunState.ARCHIVED, _because("archived it; it can be launched again", action))
    return ""


def _delete(work: Work, action: UserAction) -> str:
    """Answered before the definition is removed; again alike, for whoever was interrupted between the two."""
    refusal = _still_at_work(work)
    if refusal:
        return refusal
    work.answer(RunState.DELETED, _because("deleted it", action))
    return ""


def _still_at_work(work: Work) -> str:
    if work.app.life in _IN_FORCE:
        return f"it is {work.app.life.value}; stop it first"
    count = sum(len(node.runs) for node in work.nodes.values())
    return f"{count} of its runs have not ended" if count else ""


ACTIONS: Mapping[str, Act] = {
    LAUNCH: _launch,
    STOP: _stop,
    PAUSE: _pause,
    RESUME: _resume,
    RUN_NODE: _run_node,
    STOP_RUN: _stop_run,
    ARCHIVE: _archive,
    DELETE: _delete,
}
_NAMES = {RUN_NODE: "run", STOP_RUN: "stop of a run"}


def _no_node(work: Work, node_id: str) -> str:
    there = ", ".join(plan.node_id for plan in work.app.plans) or "none"
    return f"agents run no node {node_id!r} of it; they run: {there}"


def _because(did: str, action: UserAction) -> str:
    return f"{action.who} {did}" + (f": {action.comment}" if action.comment else "")
