"""What people do about what runs: launch, pause, stop and archive an MLApp, remove it, run a node now, stop a run."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query, Request
from pydantic import Field

from parallelm.operations import runs as operations
from parallelm.schemas.well_known import ARCHIVE, DELETE, LAUNCH, PAUSE, RESUME, RUN_NODE, STOP, STOP_RUN
from parallelm.server.access.dependencies import require
from parallelm.server.api._decisions import MAX_COMMENT, CommentRequest, WaitS
from parallelm.server.api._once import Once, OnceKey
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, answers
from parallelm.server.api.mlapps import MLAppId, current
from parallelm.server.api.runs import RunId, found_run
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

ROUTER: Final = resource("runs")
NodeId = Annotated[str, Path(min_length=1, max_length=500)]
_RUNS: Final = [Depends(require("mlapps.run"))]


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


class StopRequest(CommentRequest):
    """Why somebody stops a run."""

    force: Annotated[bool, Field(description="Give up a run whose agent does not answer; it is lost.")] = (
        False
    )


@ROUTER.post("/mlapps/{mlapp_id}/launch", dependencies=_RUNS)
def launch(
    request: Request, mlapp_id: MLAppId, said: CommentRequest, once: OnceKey, wait_s: WaitS = 30
) -> RunAnswers:
    """Let agents run its nodes: services at once, the others when they are due."""
    return _answered(request, LAUNCH, mlapp_id, said.comment, once, wait_s)


@ROUTER.post("/mlapps/{mlapp_id}/pause", dependencies=_RUNS)
def pause(
    request: Request, mlapp_id: MLAppId, said: CommentRequest, once: OnceKey, wait_s: WaitS = 30
) -> RunAnswers:
    """Begin no further run; what runs goes on."""
    return _answered(request, PAUSE, mlapp_id, said.comment, once, wait_s)


@ROUTER.post("/mlapps/{mlapp_id}/resume", dependencies=_RUNS)
def resume(
    request: Request, mlapp_id: MLAppId, said: CommentRequest, once: OnceKey, wait_s: WaitS = 30
) -> RunAnswers:
    """End a pause."""
    return _answered(request, RESUME, mlapp_id, said.comment, once, wait_s)


@ROUTER.post("/mlapps/{mlapp_id}/stop", dependencies=_RUNS)
def stop(
    request: Request, mlapp_id: MLAppId, said: CommentRequest, once: OnceKey, wait_s: WaitS = 30
) -> RunAnswers:
    """Stop all its runs, and begin no further one until it is launched again."""
    return _answered(request, STOP, mlapp_id, said.comment, once, wait_s)


@ROUTER.post("/mlapps/{mlapp_id}/archive", dependencies=_RUNS)
def archive(
    request: Request, mlapp_id: MLAppId, said: CommentRequest, once: OnceKey, wait_s: WaitS = 30
) -> RunAnswers:
    """Put it away once it is stopped; launching it takes it out again."""
    return _answered(request, ARCHIVE, mlapp_id, said.comment, once, wait_s)


@ROUTER.delete("/mlapps/{mlapp_id}", dependencies=[Depends(require("mlapps.write"))])
def delete_mlapp(
    request: Request,
    mlapp_id: MLAppId,
    once: OnceKey,
    confirm: Annotated[str, Query(min_length=1, max_length=500, description="The MLApp's id, once more.")],
    comment: Annotated[str, Query(max_length=MAX_COMMENT, description="Why.")] = "",
    wait_s: WaitS = 30,
) -> RunAnswers:
    """Remove its definition once it is stopped; what it reported stays."""
    if confirm != mlapp_id:
        raise ApiProblemError(422, "not-confirmed", f"confirm is {confirm!r}; it must be {mlapp_id!r}")
    return _answered(request, DELETE, mlapp_id, comment, once, wait_s)


@ROUTER.post("/mlapps/{mlapp_id}/nodes/{node_id}/run", dependencies=_RUNS)
def run_node(
    request: Request,
    mlapp_id: MLAppId,
    node_id: NodeId,
    said: CommentRequest,
    once: OnceKey,
    wait_s: WaitS = 30,
) -> RunAnswers:
    """Let a node run now."""
    return _answered(request, RUN_NODE, mlapp_id, said.comment, once, wait_s, node_id=node_id)


@ROUTER.post("/mlapps/{mlapp_id}/nodes/{node_id}/pause", dependencies=_RUNS)
def pause_node(
    request: Request,
    mlapp_id: MLAppId,
    node_id: NodeId,
    said: CommentRequest,
    once: OnceKey,
    wait_s: WaitS = 30,
) -> RunAnswers:
    """Begin no further run of a node; what runs goes on."""
    return _answered(request, PAUSE, mlapp_id, said.comment, once, wait_s, node_id=node_id)


@ROUTER.post("/mlapps/{mlapp_id}/nodes/{node_id}/resume", dependencies=_RUNS)
def resume_node(
    request: Request,
    mlapp_id: MLAppId,
    node_id: NodeId,
    said: CommentRequest,
    once: OnceKey,
    wait_s: WaitS = 30,
) -> RunAnswers:
    """End the pause of a node."""
    return _answered(request, RESUME, mlapp_id, said.comment, once, wait_s, node_id=node_id)


@ROUTER.post("/mlapps/{mlapp_id}/runs/{run_id}/stop", dependencies=_RUNS)
def stop_run(
    request: Request, mlapp_id: MLAppId, run_id: RunId, said: StopRequest, once: OnceKey, wait_s: WaitS = 30
) -> RunAnswers:
    """Stop a run: its program is told to end, and killed when its grace is over."""
    run = found_run(request, mlapp_id, run_id)
    about = {"run_id": run["run_id"], "force": said.force}
    return _answered(request, STOP_RUN, mlapp_id, said.comment, once, wait_s, **about)


def _answered(
    request: Request, action: str, mlapp_id: str, comment: str, once: Once, wait_s: float, **about: Any
) -> RunAnswers:
    def act() -> RunAnswers:
        current(request, mlapp_id)
        done = operations.decide_runs(
            context_of(request).settings,
            action,
            mlapp_id,
            who=once.author,
            comment=comment,
            timeout_s=wait_s,
            **about,
        )
        return RunAnswers(answers=answers(RunAnswer, done))

    return once(RunAnswers, act)
