"""Brings runs to where they are to be in a cluster, step by step, and notes what becomes of them there.

A step may be taken twice, and by another agent's process than the one before: what the cluster has and what the run remembers
decide it.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from parallelm.agent.kubernetes.cache import Cache
from parallelm.agent.kubernetes.cluster import (
    CONFLICT,
    DEPLOYMENT,
    JOB,
    KINDS,
    NOT_FOUND,
    POD,
    AwayError,
    Cluster,
    RefusedError,
)
from parallelm.agent.kubernetes.forgetting import FORGET_EVERY_S, delete_left, old
from parallelm.agent.kubernetes.logs import LogFollower
from parallelm.agent.kubernetes.objects import AGENT, MODEL, RUN, is_service, label_value, object_of
from parallelm.agent.kubernetes.observed import rollout, standing
from parallelm.agent.kubernetes.steps import containers_of, environ_of

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.agent.kubernetes.cluster import Kind
    from parallelm.agent.kubernetes.known_runs import KnownRuns
    from parallelm.agent.kubernetes.objects import PodOptions
    from parallelm.agent.kubernetes.run import KubernetesRun
    from parallelm.connections.sections import KubernetesSettings
    from parallelm.definitions.run_spec import ModelSpec

logger = logging.getLogger(__name__)

_RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_LOOK_AGAIN_S: Final = 5.0
_LAST_WORD_S: Final = 10.0
"""Jobs and Pods are watched apart: the word that a Job is over may come before that of its Pods."""


class Reconciler:
    """Threads that follow the cluster, and bring ``runs`` on. It deletes those in ``folder`` that ended long ago."""

    def __init__(
        self, runs: KnownRuns, folder: Path, settings: KubernetesSettings, options: PodOptions
    ) -> None:
        self._runs = runs
        self._folder = folder
        self._options = options
        self._cluster = Cluster(settings)
        self._is_over = threading.Event()
        self._look = threading.Event()
        self._cache = Cache(self._look.set)
        self._logs = LogFollower(self._cluster, self._is_over)
        self._is_away = False
        self._forget_at_s = 0.0
        selector = f"{AGENT}={label_value(options.agent_id)}"
        self._threads = [threading.Thread(target=self._reconcile, name="kubernetes", daemon=True)]
        self._threads += [
            threading.Thread(
                target=self._watch, args=(kind, selector), name=f"watch-{kind.noun}s", daemon=True
            )
            for kind in (JOB, DEPLOYMENT, POD)
        ]

    def begin(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def look(self) -> None:
        """Something is asked of a run."""
        self._look.set()

    def close(self) -> None:
        """End. Runs go on."""
        self._is_over.set()
        self._look.set()
        # Watches wait for the cluster's next word; nothing depends on when they end.
        if self._threads[0].is_alive():
            self._threads[0].join(_LOOK_AGAIN_S)
        self._logs.close()

    # ---- threads ------------------------------------------------------------------------------------------------

    def _watch(self, kind: Kind, selector: str) -> None:
        failed = 0
        while not self._is_over.is_set():
            try:
                self._cluster.watch(kind, selector, self._cache)
                failed = 0
            except Exception as error:
                # Whatever it is: without its watches the agent would learn of nothing any more.
                if not isinstance(error, AwayError | RefusedError):
                    logger.exception("what the cluster tells of its %ss cannot be understood", kind.noun)
                self._told_away(str(error))
                self._is_over.wait(_RETRY_S[min(failed, len(_RETRY_S) - 1)])
                failed += 1

    def _reconcile(self) -> None:
        failed = 0
        while not self._is_over.is_set():
            self._look.wait(_LOOK_AGAIN_S if not failed else _RETRY_S[min(failed, len(_RETRY_S)) - 1])
            self._look.clear()
            self._forget_old()
            answers = [self._bring(run) for run in self._runs.all() if run.ending is None]
            failed = 0 if all(answers) else failed + 1

    def _bring(self, run: KubernetesRun) -> bool:
        """One step of a run towards where it is to be; False when the cluster has to be asked again."""
        try:
            self._step(run)
        except AwayError as error:
            self._told_away(str(error))
            return False
        except Exception:
            # This thread has every run: one that cannot be understood must not stop the others.
            logger.exception("run %s cannot be brought on; trying again", run.name)
            return False
        else:
            self._is_away = False
        return True

    def _step(self, run: KubernetesRun) -> None:
        try:
            if not run.remembered.is_created:
                self._create(run)
            elif run.remembered.stop is not None:
                self._end(run)
            else:
                self._follow(run)
        except RefusedError as error:
            words = f"Kubernetes refuses it: {error}"
            if not run.remembered.is_created and not error.may_be_taken_later:
                self._runs.end(run, "failed", words)
                return
            # What was created goes on in the cluster, whatever is refused now: the run is over when the cluster says so.
            self._runs.change(run, message=f"{words}; asking again")
            raise AwayError(f"{run.name}: {words}") from error

    def _forget_old(self) -> None:
        if time.monotonic() < self._forget_at_s:
            return
        self._forget_at_s = time.monotonic() + FORGET_EVERY_S
        try:
            for run in old(self._runs.all()):
                run.folder.forget()
                self._runs.forget(run)
            delete_left(self._folder)
        except OSError as error:
            logger.warning("old runs cannot be deleted: %s", error)

    def _create(self, run: KubernetesRun) -> None:
        if run.remembered.stop is not None:
            self._runs.end(run, run.remembered.stop_outcome, run.remembered.stop)
            return
        wanted = self._object(run, run.model)
        kind = KINDS[wanted["kind"]]
        run.lists_before = self._cache.lists(kind)
        try:
            found = self._cluster.create(wanted)
        except RefusedError as error:
            if error.status != CONFLICT:
                raise
            try:
                found = self._cluster.read(kind, run.name)
            except RefusedError as unread:
                if unread.status != NOT_FOUND:
                    raise
                # A quota that somebody else has counted at the same moment is a conflict, too.
                raise AwayError(str(error)) from unread
            if found["metadata"].get("labels", {}).get(RUN) != run.labels[0]:
                raise RefusedError(
                    CONFLICT, f"{wanted['kind']} {run.name} is there already, and is somebody else's"
                ) from error
        self._cache.happened(kind, "ADDED", found | {"kind": wanted["kind"]})
        self._runs.change(run, is_created=True)

    def _end(self, run: KubernetesRun) -> None:
        kind, found = self._found(run)
        if found is not None and "deletionTimestamp" not in found["metadata"]:
            self._cluster.delete(kind, run.name)
        elif self._cache.is_gone(kind, run.name, run.lists_before) and not self._cache.pods(*run.labels):
            self._logs.finish(run)
            self._runs.end(run, run.remembered.stop_outcome, run.remembered.stop or "")

    def _follow(self, run: KubernetesRun) -> None:
        kind, found = self._found(run)
        pods = self._cache.pods(*run.labels)
        self._logs.follow(run, pods)
        if found is None:
            if self._cache.is_gone(kind, run.name, run.lists_before):
                self._runs.end(run, "lost", f"somebody has deleted {kind.name} {run.name}")
            return
        now = standing(found, pods)
        if now.outcome is not None:
            if not self._pods_have_ended(run, pods):
                return
            self._runs.change(run, starts=now.starts, started_at_ms=now.started_at_ms)
            self._logs.finish(run)
            self._runs.end(run, now.outcome, now.message, exit_code=now.exit_code, at_ms=now.ended_at_ms)
            return
        self._runs.change(
            run,
            starts=max(now.starts, run.remembered.starts),
            started_at_ms=now.started_at_ms or run.remembered.started_at_ms,
            message=now.message,
        )
        if run.wanted is not None:
            self._roll_out(run, found, pods)

    @staticmethod
    def _pods_have_ended(run: KubernetesRun, pods: list[dict[str, Any]]) -> bool:
        """Whether the Pods' last word has come, which has their logs and exit codes; or is not to be waited for any more."""
        run.over_since_s = run.over_since_s or time.monotonic()
        if pods and all(pod.get("status", {}).get("phase") in {"Succeeded", "Failed"} for pod in pods):
            return True
        return time.monotonic() - run.over_since_s > _LAST_WORD_S

    def _roll_out(self, run: KubernetesRun, found: dict[str, Any], pods: list[dict[str, Any]]) -> None:
        """Bring a delivered model into the Deployment; back to the one before when its Pod does not come up."""
        model = run.wanted
        assert model is not None  # noqa: S101 - asked before
        if run.spec.running.model_delivery.by == "question" or not is_service(run.spec):
            self._delivered(
                run, model, "it takes a model when its program asks for one, or when it is started"
            )
            return
        annotations = found["spec"]["template"]["metadata"].get("annotations", {})
        if annotations.get(MODEL) != model.model_id:
            try:
                changed = self._cluster.replace(self._object(run, model))
            except RefusedError as error:
                if error.status == NOT_FOUND:  # deleted just now, of which the watch will tell
                    raise
                self._delivered(run, model, f"Kubernetes refuses it: {error}")
                return
            self._cache.happened(self._found(run)[0], "MODIFIED", changed | {"kind": "Deployment"})
            return
        way = rollout(found, pods, model.model_id)
        if way.is_over and not way.is_accepted:
            self._cluster.replace(self._object(run, run.model))
        if way.is_over:
            self._delivered(run, model, way.reason)

    def _delivered(self, run: KubernetesRun, model: ModelSpec, refused: str) -> None:
        told = {
            "model_id": model.model_id,
            "deployment_id": model.deployment_id,
            "is_accepted": not refused,
            "reason": refused,
            "at_ms": time.time_ns() // 1_000_000,
        }
        has = run.remembered.model if refused else model.table()
        self._runs.change(run, wanted=None, model=has, deliveries=[*run.remembered.deliveries, told])

    def _object(self, run: KubernetesRun, model: ModelSpec | None) -> dict[str, Any]:
        spec = dataclasses.replace(run.spec, model=model)
        return object_of(spec, containers_of(spec), environ_of(spec, self._options.agent_id), self._options)

    def _found(self, run: KubernetesRun) -> tuple[Kind, dict[str, Any] | None]:
        kind = DEPLOYMENT if is_service(run.spec) else JOB
        return kind, self._cache.get(kind, run.name)

    def _told_away(self, why: str) -> None:
        if not self._is_away:
            logger.warning("%s; asking again", why)
        self._is_away = True
