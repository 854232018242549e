"""What the cluster says of a run: from its Job or Deployment and its Pods to how it stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from parallelm.agent.kubernetes.objects import MAIN, MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelm.agent.keeping.records import Outcome

_UNUSABLE: Final = {
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError",
}  # fmt: skip
"""Why a container waits that will not begin by waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a run stands in the cluster."""

    starts: int = 0
    started_at_ms: int = 0
    outcome: Outcome | None = None
    exit_code: int = 0
    ended_at_ms: int = 0
    message: str = ""
    """What keeps it from beginning, or how it ended."""


def standing(found: dict[str, Any], pods: Sequence[dict[str, Any]]) -> Standing:
    """How the run of a Job or Deployment stands."""
    starts, started_at_ms = 0, 0
    for pod in pods:
        for status in _statuses(pod, "containerStatuses"):
            began = _began_ms(status)
            if began:
                starts += 1 + status.get("restartCount", 0)
                started_at_ms = max(started_at_ms, began)
    waits = next((message for pod in pods for message in _waiting(pod)), "") or _no_pod(found)
    if found["kind"] != "Job":
        return Standing(starts=starts, started_at_ms=started_at_ms, message=waits)
    condition = next(
        (
            each
            for each in found.get("status", {}).get("conditions") or ()
            if each["status"] == "True" and each["type"] in {"Complete", "Failed"}
        ),
        None,
    )
    if condition is None:
        return Standing(starts=starts, started_at_ms=started_at_ms, message=waits)
    ended_at_ms = _ms(condition.get("lastTransitionTime"))
    if condition["type"] == "Complete":
        return Standing(
            starts=max(starts, 1), started_at_ms=started_at_ms, outcome="succeeded", ended_at_ms=ended_at_ms
        )
    exit_code, how = _how_it_ended(pods)
    is_late = condition.get("reason") == "DeadlineExceeded"
    return Standing(
        starts=starts,
        started_at_ms=started_at_ms,
        outcome="timed_out" if is_late else "failed",
        exit_code=exit_code,
        ended_at_ms=ended_at_ms,
        message=how or condition.get("message") or condition.get("reason") or "the Job failed",
    )


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a Deployment's change to another model goes: accepted, refused, or neither yet."""

    is_over: bool
    is_accepted: bool = False
    reason: str = ""


def rollout(deployment: dict[str, Any], pods: Sequence[dict[str, Any]], model_id: str) -> Rollout:
    """Whether the Pod with ``model_id`` has taken over."""
    generation, status = deployment["metadata"].get("generation", 0), deployment.get("status", {})
    ours = [pod for pod in pods if pod["metadata"].get("annotations", {}).get(MODEL) == model_id]
    failed = next((how for pod in ours for how in _failed_before_main(pod)), "")
    if failed:
        return Rollout(is_over=True, reason=failed)
    if status.get("observedGeneration", 0) < generation:
        return Rollout(is_over=False)
    if status.get("updatedReplicas", 0) and status.get("replicas") == status.get(
        "updatedReplicas"
    ) == status.get("readyReplicas"):
        return Rollout(is_over=True, is_accepted=True)
    late = next(
        (each for each in status.get("conditions") or () if each.get("reason") == "ProgressDeadlineExceeded"),
        None,
    )
    if late is not None:
        waits = next((message for pod in ours for message in _waiting(pod)), "") or _no_pod(deployment)
        return Rollout(
            is_over=True,
            reason=waits or late.get("message") or "the Pod with the new model was not ready in time",
        )
    return Rollout(is_over=False)


def log_sources(pod: dict[str, Any]) -> Iterator[str]:
    """Containers of a Pod that have begun, in the order in which they run."""
    for kind in ("initContainerStatuses", "containerStatuses"):
        yield from (status["name"] for status in _statuses(pod, kind) if _began_ms(status))


def _failed_before_main(pod: dict[str, Any]) -> Iterator[str]:
    for status in _statuses(pod, "initContainerStatuses"):
        for moment in ("state", "lastState"):
            ended = status.get(moment, {}).get("terminated")
            if ended and ended["exitCode"]:
                yield f"{status['name']} ended with exit code {ended['exitCode']}" + _words(ended)


def _how_it_ended(pods: Sequence[dict[str, Any]]) -> tuple[int, str]:
    """Exit code of the container that failed last, and what is known of it."""
    newest, exit_code, how = -1, 0, ""
    for pod in pods:
        for kind in ("initContainerStatuses", "containerStatuses"):
            for status in _statuses(pod, kind):
                ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get(
                    "terminated"
                )
                if ended and ended["exitCode"] and _ms(ended.get("finishedAt")) >= newest:
                    newest, exit_code = _ms(ended.get("finishedAt")), ended["exitCode"]
                    step = "" if status["name"] == MAIN else f"step {status['name']} "
                    how = f"{step}ended with exit code {exit_code}{_words(ended)}"
        taken = pod.get("status", {})
        if taken.get("phase") == "Failed" and taken.get("message"):  # as of one that its node has evicted
            how = f"{taken.get('reason', 'Failed')}: {taken['message']}" + (f"; {how}" if how else "")
    return exit_code, how


def _words(ended: dict[str, Any]) -> str:
    if ended.get("reason") == "OOMKilled":
        return ": it used more memory than resources.memory allows"
    return f": {ended['message']}" if ended.get("message") else ""


def _waiting(pod: dict[str, Any]) -> Iterator[str]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for status in _statuses(pod, kind):
            waiting = status.get("state", {}).get("waiting")
            if waiting and waiting.get("reason") in _UNUSABLE:
                yield f"{status['name']}: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"the Pod has no node: {condition.get('message', '')}".rstrip(": ")


def _no_pod(found: dict[str, Any]) -> str:
    """Why a Deployment's Pod cannot be made, such as for a quota. Of Jobs only events tell it."""
    for condition in found.get("status", {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return f"the Pod cannot be made: {condition.get('message', '')}".rstrip(": ")
    return ""


def _statuses(pod: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return pod.get("status", {}).get(kind) or []


def _began_ms(status: dict[str, Any]) -> int:
    state = status.get("state", {})
    for moment in (
        state.get("running"),
        state.get("terminated"),
        status.get("lastState", {}).get("terminated"),
    ):
        if moment and moment.get("startedAt"):
            return _ms(moment["startedAt"])
    return 0


def _ms(text: str | None) -> int:
    if not text:
        return 0
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)
