"""What people do with an MLApp that agents run: buttons of its pages."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from parallelm.operations.errors import NoAnswerError, NoEffectError
from parallelm.operations.runs import decide_runs, find_run, was_refused
from parallelm.schemas.well_known import RUN_NODE, STOP_RUN
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.context import context_of
from parallelm.server.pages.toasts import refreshed, toast
from parallelm.server.stored import stored
from parallelm.warehouse.queries import run_transitions

ROUTER: Final = APIRouter(prefix="/mlapps/{mlapp_id}/runs", dependencies=[Depends(require("mlapps.run"))])
Comment = Annotated[str, Form(max_length=2000)]


@ROUTER.post("/whole/{action}")
def act(
    request: Request,
    asking: Asking,
    mlapp_id: str,
    action: Literal["launch", "pause", "resume", "stop", "archive"],
    comment: Comment = "",
) -> Response:
    """Launch, pause, resume, stop or archive the MLApp."""
    return _answered(request, action, mlapp_id, who=asking.author, comment=comment)


@ROUTER.post("/now")
def run_now(
    request: Request,
    asking: Asking,
    mlapp_id: str,
    node: Annotated[str, Form(min_length=1, max_length=500)],
    comment: Comment = "",
) -> Response:
    """Let a node run now."""
    return _answered(request, RUN_NODE, mlapp_id, who=asking.author, comment=comment, node_id=node)


@ROUTER.post("/{run_id}/stop")
def stop_run(
    request: Request,
    asking: Asking,
    mlapp_id: str,
    run_id: str,
    comment: Comment = "",
    force: Annotated[bool, Form()] = False,
) -> Response:
    """Stop a run."""
    run = find_run(context_of(request).settings, run_id, mlapp_id=mlapp_id)
    about = {"run_id": run["run_id"], "force": force}
    return _answered(request, STOP_RUN, mlapp_id, who=asking.author, comment=comment, **about)


def _answered(request: Request, action: str, mlapp_id: str, **said: Any) -> Response:
    """Do it, and load the page anew once it shows what followed; a refusal changes nothing, and says why."""
    settings = context_of(request).settings
    try:
        done = decide_runs(settings, action, mlapp_id, **said)
    except (NoAnswerError, NoEffectError) as error:
        return toast(str(error), kind="error")
    if was_refused(done):
        return toast("; ".join(each.reason for each in done), kind="error")
    last = done[-1]
    of_run: dict[str, Any] = {"mlapp_id": mlapp_id, "node_id": last.node_id, "run_id": last.run_id}
    stored(lambda: last.transition_id in set(run_transitions(settings, **of_run)["transition_id"]))
    return refreshed(done[0].reason or f"It is {done[0].state.value} now.")
