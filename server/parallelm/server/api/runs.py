"""Runs of nodes by agents: what ran where, why, and with which models."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Query, Request

from parallelm.operations import runs as operations
from parallelm.operations.schedule import MOST_OF_A_NODE, NodeSchedule, schedules
from parallelm.schemas.times import TimeError, range_ms
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import READ, readable
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, answers, moment_of, rows
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.context import context_of

ROUTER: Final = resource("runs")
RunId = Annotated[str, Path(description="Id of a run, or the beginning of it.", min_length=1, max_length=200)]
_READS: Final = [Depends(require(READ))]
_LONGEST_MS: Final = 366 * 24 * 3_600_000
_MOST_TIMES: Final = 50_000
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
    started_at: Moment | None
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


class ScheduledRuns(Answer):
    """A node that runs by a schedule."""

    mlapp_id: str
    node_id: str
    cron: str
    timezone: str
    due_at: list[Moment]
    """Within the range that was asked for."""
    is_cut: bool
    """There are more: ask for a shorter time."""


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
    page: Paging,
    from_: Annotated[AskedTime, Query(alias="from")],
    to: Annotated[AskedTime, Query(description="At most 366 days later.")],
    mlapp_id: Annotated[Name | None, Query(description="Only of this MLApp.")] = None,
) -> Page[ScheduledRuns]:
    """Nodes with a schedule, and when they are due by the definitions in force; of past times ``/runs`` tells what ran.

    A page has up to 50,000 times, evenly shared by ``limit`` nodes.
    """
    start_ms, end_ms = range_ms(from_, to)
    start_ms, end_ms = start_ms or 0, end_ms or 0
    if end_ms - start_ms > _LONGEST_MS:
        raise TimeError(f"{from_} to {to} is longer than 366 days: ask for a part of it")
    limited = readable(asking, mlapp_id)
    keyset = page.keyset("mlapp_id", "node_id")
    found = schedules(
        context_of(request).settings,
        start_ms,
        end_ms,
        mlapp_ids=[limited] if isinstance(limited, str) else limited,
        after=keyset.after and (str(keyset.after[0]), str(keyset.after[1])),
        most_nodes=keyset.limit,
        most_of_a_node=min(MOST_OF_A_NODE, _MOST_TIMES // page.limit),
    )
    return page.answer(ScheduledRuns, keyset, [_scheduled(each) for each in found])


def _scheduled(found: NodeSchedule) -> dict[str, Any]:
    due_at = [moment_of(due) for due in found.due_ms]
    return {name: getattr(found, name) for name in ("mlapp_id", "node_id", "cron", "timezone", "is_cut")} | {
        "due_at": due_at
    }


def found_run(request: Request, mlapp_id: str, run_id: str) -> dict[str, Any]:
    """Its row; 404 when the MLApp has none of this id."""
    return operations.find_run(context_of(request).settings, run_id, mlapp_id=mlapp_id)
