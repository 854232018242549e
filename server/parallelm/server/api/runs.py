"""Runs of nodes by agents: what ran where, why, and with which models; and what people do about them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Query, Request
from pydantic import Field

from parallelm.operations import runs as operations
from parallelm.schemas.well_known import LAUNCH, PAUSE, RESUME, RUN_NODE, STOP, STOP_RUN
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._decisions import Said, WaitS
from parallelm.server.api._once import Once, OnceKey
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import READ, readable
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, answers, moment_of, rows
from parallelm.server.api.mlapps import MLAppId, current
from parallelm.server.context import context_of

ROUTER: Final = resource("runs")
RunId = Annotated[str, Path(description="Id of a run, or the beginning of it.", min_length=1, max_length=200)]
_READS: Final = [Depends(require(READ))]
_RUNS: Final = [Depends(require("mlapps.run"))]
RunStateName = Literal[
    "waiting", "assigned", "running", "unreachable", "stopping", "succeeded", "failed", "stopped", "missed", "lost"
]  # fmt: skip


class Run(Answer):
    """One run of one instance of a node, over all its attempts."""

    mlapp_id: str
    node_id: str
    run_id: str
    pipeline_instance_id: str
    """The same over all runs of the instance."""
    instance: int
    attempt: int
    """Its last, from 1: a retry and a move are new attempts."""
    state: str
    has_ended: bool
    reason: str
    """Why it is in this state."""
    state_since: Moment
    due_at: Moment
    began_at: Moment | None
    ended_at: Moment | None
    duration_ms: int | None
    agent_id: str
    """Empty while it has none."""
    trigger: str
    """What made it due: schedule, parent, model, data, person, launch or service."""
    trigger_id: str
    definition_version: int
    model_id: str
    """Model that it was started with; may be empty."""
    exit_code: int
    starts: int
    who: str
    """Person who made it due."""
    stopped_by: str


class RunTransition(Answer):
    """A change of state of a run, or the answer to a person."""

    event_time: Moment
    run_id: str
    node_id: str
    attempt: int
    state: str
    previous_state: str
    agent_id: str
    reason: str
    model_id: str
    exit_code: int
    starts: int
    who: str
    cause_topic: str
    cause_partition: int
    cause_offset: int


class PipelineModel(Answer):
    """A model that a pipeline has produced or consumed."""

    role: Literal["produced", "consumed"]
    node_id: str
    agent_id: str
    run_id: str
    """Empty where no run is known."""
    model_id: str
    name: str
    since: Moment
    until: Moment | None
    """Null for what was produced, and while it is used."""


class RunAnswer(Answer):
    """What the control plane has answered."""

    state: str
    """``refused``: nothing was done, for this reason."""
    node_id: str
    run_id: str
    """Empty when it is about the MLApp as a whole."""
    reason: str


class RunAnswers(Answer):
    """What followed from an action."""

    answers: list[RunAnswer]


class StopSaid(Said):
    """Why somebody stops a run."""

    force: Annotated[bool, Field(description="Give up a run whose agent does not answer; it is lost.")] = (
        False
    )


class Scheduled(Answer):
    """A node that runs by a schedule."""

    mlapp_id: str
    node_id: str
    cron: str
    timezone: str
    due_at: list[Moment]
    """Within the range that was asked for."""
    is_cut: bool
    """There are more."""


@ROUTER.get("/runs")
def list_runs(
    request: Request,
    asking: Asking,
    page: Paging,
    mlapp_id: Annotated[Name | None, Query(description="Only of this MLApp.")] = None,
    node_id: Annotated[Name | None, Query()] = None,
    agent_id: Annotated[Name | None, Query()] = None,
    state: Annotated[RunStateName | None, Query()] = None,
    trigger: Annotated[Name | None, Query(examples=["schedule"])] = None,
    has_ended: Annotated[bool | None, Query()] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
    sort: Annotated[Literal["due_at", "-due_at"], Query()] = "-due_at",
) -> Page[Run]:
    """Runs by when they were due, the latest first; with ``from`` and ``to`` those that were under way then."""
    from parallelm.warehouse.queries import runs

    keyset = page.keyset("due_at", "run_id", descending=sort.startswith("-"))
    found = runs(
        context_of(request).settings,
        mlapp_id=readable(asking, mlapp_id),
        node_id=node_id,
        agent_id=agent_id,
        state=state,
        trigger=trigger,
        has_ended=has_ended,
        start=from_,
        end=to,
        page=keyset,
    )
    return page.answer(Run, keyset, rows(found))


@ROUTER.get("/mlapps/{mlapp_id}/runs/{run_id}", dependencies=_READS)
def get_run(request: Request, mlapp_id: MLAppId, run_id: RunId) -> Run:
    """One run."""
    return Run.model_validate(found_run(request, mlapp_id, run_id))


@ROUTER.get("/mlapps/{mlapp_id}/runs/{run_id}/transitions", dependencies=_READS)
def list_run_transitions(request: Request, mlapp_id: MLAppId, run_id: RunId) -> list[RunTransition]:
    """Changes of its state, and answers to people, in the order in which they were recorded."""
    from parallelm.warehouse.queries import run_transitions

    run = found_run(request, mlapp_id, run_id)
    found = run_transitions(context_of(request).settings, mlapp_id=mlapp_id, run_id=run["run_id"])
    return answers(RunTransition, rows(found))


@ROUTER.get("/mlapps/{mlapp_id}/pipeline-models", dependencies=_READS)
def list_pipeline_models(
    request: Request,
    mlapp_id: MLAppId,
    node_id: Annotated[Name | None, Query()] = None,
    run_id: Annotated[Name | None, Query()] = None,
) -> list[PipelineModel]:
    """Models that its pipelines have produced and consumed, by time."""
    from parallelm.warehouse.queries import models_of_pipelines

    found = models_of_pipelines(context_of(request).settings, mlapp_id, node_id=node_id, run_id=run_id)
    return answers(PipelineModel, found)


@ROUTER.get("/schedule")
def get_schedule(
    request: Request,
    asking: Asking,
    from_: Annotated[AskedTime, Query(alias="from")],
    to: Annotated[AskedTime, Query()],
    mlapp_id: Annotated[Name | None, Query(description="Only of this MLApp.")] = None,
) -> list[Scheduled]:
    """Nodes with a schedule, and when they are due by the definitions in force; of past times ``/runs`` tells what ran."""
    from parallelm.operations.schedule import schedules
    from parallelm.schemas.times import range_ms

    start_ms, end_ms = range_ms(from_, to)
    limited = readable(asking, mlapp_id)
    found = schedules(
        context_of(request).settings,
        int(start_ms or 0),
        int(end_ms or 0),
        mlapp_ids=[limited] if isinstance(limited, str) else limited,
    )
    return [
        Scheduled(
            mlapp_id=each.mlapp_id,
            node_id=each.node_id,
            cron=each.cron,
            timezone=each.timezone,
            due_at=[moment for due in each.due_ms if (moment := moment_of(due))],
            is_cut=each.is_cut,
        )
        for each in found
    ]


@ROUTER.post("/mlapps/{mlapp_id}/launch", dependencies=_RUNS)
def launch(request: Request, mlapp_id: MLAppId, said: Said, once: OnceKey, wait_s: WaitS = 30) -> RunAnswers:
    """Let agents run its nodes: services at once, the others when they are due."""
    return _on_mlapp(request, LAUNCH, mlapp_id, said, once, wait_s)


@ROUTER.post("/mlapps/{mlapp_id}/pause", dependencies=_RUNS)
def pause(request: Request, mlapp_id: MLAppId, said: Said, once: OnceKey, wait_s: WaitS = 30) -> RunAnswers:
    """Begin no further run; what runs goes on."""
    return _on_mlapp(request, PAUSE, mlapp_id, said, once, wait_s)


@ROUTER.post("/mlapps/{mlapp_id}/resume", dependencies=_RUNS)
def resume(request: Request, mlapp_id: MLAppId, said: Said, once: OnceKey, wait_s: WaitS = 30) -> RunAnswers:
    """End a pause."""
    return _on_mlapp(request, RESUME, mlapp_id, said, once, wait_s)


@ROUTER.post("/mlapps/{mlapp_id}/stop", dependencies=_RUNS)
def stop(request: Request, mlapp_id: MLAppId, said: Said, once: OnceKey, wait_s: WaitS = 30) -> RunAnswers:
    """Stop all its runs, and begin no further one until it is launched again."""
    return _on_mlapp(request, STOP, mlapp_id, said, once, wait_s)


@ROUTER.post("/mlapps/{mlapp_id}/nodes/{node_id}/run", dependencies=_RUNS)
def run_node(
    request: Request,
    mlapp_id: MLAppId,
    node_id: Annotated[str, Path(min_length=1, max_length=500)],
    said: Said,
    once: OnceKey,
    wait_s: WaitS = 30,
) -> RunAnswers:
    """Let a node run now."""
    current(request, mlapp_id)
    return _answered(request, RUN_NODE, mlapp_id, said, once, wait_s, node_id=node_id)


@ROUTER.post("/mlapps/{mlapp_id}/runs/{run_id}/stop", dependencies=_RUNS)
def stop_run(
    request: Request, mlapp_id: MLAppId, run_id: RunId, said: StopSaid, once: OnceKey, wait_s: WaitS = 30
) -> RunAnswers:
    """Stop a run: its program is told to end, and killed when its grace is over."""
    run = found_run(request, mlapp_id, run_id)
    return _answered(request, STOP_RUN, mlapp_id, said, once, wait_s, run_id=run["run_id"], force=said.force)


def _on_mlapp(
    request: Request, action: str, mlapp_id: str, said: Said, once: Once, wait_s: float
) -> RunAnswers:
    current(request, mlapp_id)
    return _answered(request, action, mlapp_id, said, once, wait_s)


def _answered(
    request: Request, action: str, mlapp_id: str, said: Said, once: Once, wait_s: float, **about: Any
) -> RunAnswers:
    def act() -> RunAnswers:
        done = operations.decide_runs(
            context_of(request).settings,
            action,
            mlapp_id,
            who=once.author,
            comment=said.comment,
            timeout_s=wait_s,
            **about,
        )
        return RunAnswers(answers=answers(RunAnswer, done))

    return once(RunAnswers, act)


def found_run(request: Request, mlapp_id: str, run_id: str) -> dict[str, Any]:
    """Its row; 404 when the MLApp has none of this id."""
    return operations.find_run(context_of(request).settings, run_id, mlapp_id=mlapp_id)
