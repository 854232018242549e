"""Runner ``kubernetes``: each run is a Job or a Deployment of a cluster, where big machines are.

What the agent asks is on disk before a call returns; a thread brings the cluster there, and what watches tell comes back
as ``changed``. An object is named after its run, so that the cluster itself refuses to start one twice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from parallelm.agent.errors import RunRefusedError
from parallelm.agent.keeping.records import Ending
from parallelm.agent.keeping.run_folder import RunFolder
from parallelm.agent.kubernetes.forgetting import FORGET_EVERY_S, delete_left, old
from parallelm.agent.kubernetes.objects import (
    AGENT,
    RUN,
    PodOptions,
    label_value,
    object_of,
    what_it_cannot,
)
from parallelm.agent.kubernetes.run import KubernetesRun
from parallelm.agent.kubernetes.steps import containers_of, environ_of
from parallelm.agent.runners import register

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from parallelm.agent.keeping.records import Outcome
    from parallelm.agent.kubernetes.cluster import Kind
    from parallelm.agent.runners import Delivery, RunKey, Runner, RunnerContext, RunStatus
    from parallelm.definitions.run_spec import ModelSpec, RunSpec

logger = logging.getLogger(__name__)

_RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_LOOK_AGAIN_S: Final = 5.0
_LAST_WORD_S: Final = 10.0
"""Jobs and Pods are watched apart: the word that a Job is over may come before that of its Pods."""


class KubernetesRunner:
    """Runs in one namespace. As ``Runner`` wants it, one thread calls it; its own do what may wait."""

    def __init__(self, context: RunnerContext) -> None:
        from parallelm.agent.kubernetes.cache import Cache
        from parallelm.agent.kubernetes.cluster import DEPLOYMENT, JOB, POD, Cluster
        from parallelm.agent.kubernetes.logs import LogFollower

        settings = context.settings.kubernetes
        self._folder = context.folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._options = PodOptions(
            agent_id=context.agent_id,
            namespace=settings.namespace,
            image=settings.image,
            config_secret=settings.config_secret,
            service_account=settings.service_account,
        )
        self._cluster = Cluster(settings)
        self._lock = threading.RLock()
        self._runs: dict[RunKey, KubernetesRun] = {}
        self._changed: dict[RunKey, None] = {}
        self._is_over = threading.Event()
        self._look = threading.Event()
        self._event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._cache = Cache(self._look.set)
        self._logs = LogFollower(self._cluster, self._is_over)
        self._is_away = False
        self._forget_at_s = 0.0
        selector = f"{AGENT}={label_value(context.agent_id)}"
        self._threads = [threading.Thread(target=self._reconcile, name="kubernetes", daemon=True)]
        self._threads += [
            threading.Thread(
                target=self._watch, args=(kind, selector), name=f"watch-{kind.noun}s", daemon=True
            )
            for kind in (JOB, DEPLOYMENT, POD)
        ]

    # ---- what the agent asks ------------------------------------------------------------------------------------

    def recover(self) -> Iterable[RunStatus]:
        """Every run of the folder that was not settled; from then on the cluster is watched."""
        for path in sorted(self._folder.iterdir()):
            if not path.name.startswith("."):
                run = KubernetesRun(RunFolder(path))
                self._runs[run.key] = run
        found = [run.status() for run in self._runs.values() if not run.is_settled]
        for thread in self._threads:
            thread.start()
        return found

    def start(self, spec: RunSpec, lease_ends_s: float | None) -> None:
        """As ``Runner.start``."""
        refused = what_it_cannot(spec, self._options)
        if refused or lease_ends_s is not None:
            raise RunRefusedError(refused or "Kubernetes runs have no lease")
        try:
            folder, _ = RunFolder.accept(self._folder, spec.run_id, spec.attempt, spec.model_dump_json())
        except (ValueError, OSError) as error:
            raise RunRefusedError(str(error)) from error
        with self._lock:
            run = KubernetesRun(folder)
            self._runs.setdefault(run.key, run)
        self._look.set()

    def stop(self, key: RunKey, reason: str, outcome: Outcome = "stopped") -> None:
        """As ``Runner.stop``."""
        with self._lock:
            run = self._runs.get(key)
            if run is None or run.ending is not None or run.remembered.stop is not None:
                return
            run.change(stop=reason, stop_outcome=outcome)
        self._look.set()

    def deliver(self, key: RunKey, model: ModelSpec) -> None:
        """As ``Runner.deliver``."""
        with self._lock:
            run = self._runs.get(key)
            if run is None or run.ending is not None or run.knows(model):
                return
            run.change(wanted=model.model_dump(mode="json"))
        self._look.set()

    def renew(self, key: RunKey, lease_ends_s: float) -> None:
        """Nothing: movable runs are refused."""

    def changed(self) -> Iterable[RunStatus]:
        """As ``Runner.changed``."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._event_fd)
        with self._lock:
            keys, self._changed = list(self._changed), {}
            return [self._runs[key].status() for key in keys if key in self._runs]

    def settle(self, status: RunStatus) -> None:
        """As ``Runner.settle``."""
        with self._lock:
            run = self._runs.get(status.key)
            if run is None:
                return
            told = [_named(each) for each in status.deliveries]
            run.change(
                deliveries=[
                    each
                    for each in run.remembered.deliveries
                    if (each["model_id"], each["deployment_id"]) not in told
                ]
            )
            if status.is_over:
                run.settle()

    def logs(self, key: RunKey) -> Path | None:
        """As ``Runner.logs``."""
        run = self._runs.get(key)
        return run.folder.logs if run is not None else None

    def pids(self, key: RunKey) -> Iterable[int]:  # noqa: ARG002 - the protocol's
        """None: they run elsewhere."""
        return ()

    def wake_fd(self) -> int | None:
        """As ``Runner.wake_fd``."""
        return self._event_fd

    def close(self) -> None:
        """As ``Runner.close``."""
        self._is_over.set()
        self._look.set()
        # Watches wait for the cluster's next word; nothing depends on when they end.
        if self._threads[0].is_alive():
            self._threads[0].join(_LOOK_AGAIN_S)
        self._logs.close()
        os.close(self._event_fd)

    # ---- the cluster --------------------------------------------------------------------------------------------

    def _watch(self, kind: Kind, selector: str) -> None:
        from parallelm.agent.kubernetes.cluster import AwayError, RefusedError

        failed = 0
        while not self._is_over.is_set():
            try:
                self._cluster.watch(kind, selector, self._cache)
                failed = 0
            except (AwayError, RefusedError) as error:
                self._told_away(str(error))
                self._is_over.wait(_RETRY_S[min(failed, len(_RETRY_S) - 1)])
                failed += 1

    def _reconcile(self) -> None:
        failed = 0
        while not self._is_over.is_set():
            self._look.wait(_LOOK_AGAIN_S if not failed else _RETRY_S[min(failed, len(_RETRY_S)) - 1])
            self._look.clear()
            self._forget_old()
            with self._lock:
                runs = [run for run in self._runs.values() if run.ending is None]
            answers = [self._bring(run) for run in runs]
            failed = 0 if all(answers) else failed + 1

    def _bring(self, run: KubernetesRun) -> bool:
        """One step of a run towards where it is to be; False when the cluster has to be asked again."""
        from parallelm.agent.kubernetes.cluster import AwayError

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
        from parallelm.agent.kubernetes.cluster import RefusedError

        try:
            if not run.remembered.is_created:
                self._create(run)
            elif run.remembered.stop is not None:
                self._end(run)
            else:
                self._follow(run)
        except RefusedError as error:
            self._ended(run, "failed", f"Kubernetes refuses it: {error}")

    def _forget_old(self) -> None:
        if time.monotonic() < self._forget_at_s:
            return
        self._forget_at_s = time.monotonic() + FORGET_EVERY_S
        with self._lock:
            runs = list(self._runs.values())
        try:
            for run in old(runs):
                run.folder.forget()
                with self._lock:
                    self._runs.pop(run.key, None)
            delete_left(self._folder)
        except OSError as error:
            logger.warning("old runs cannot be deleted: %s", error)

    def _create(self, run: KubernetesRun) -> None:
        from parallelm.agent.kubernetes.cluster import CONFLICT, KINDS, RefusedError

        if run.remembered.stop is not None:
            self._ended(run, run.remembered.stop_outcome, run.remembered.stop)
            return
        wanted = self._object(run, run.model)
        kind = KINDS[wanted["kind"]]
        run.lists_before = self._cache.lists(kind)
        try:
            found = self._cluster.create(wanted)
        except RefusedError as error:
            if error.status != CONFLICT:
                raise
            found = self._cluster.read(kind, run.name)
            if found["metadata"].get("labels", {}).get(RUN) != run.labels[0]:
                raise RefusedError(
                    CONFLICT, f"{wanted['kind']} {run.name} is there already, and is somebody else's"
                ) from error
        self._cache.happened(kind, "ADDED", found | {"kind": wanted["kind"]})
        self._changes(run, is_created=True)

    def _end(self, run: KubernetesRun) -> None:
        kind, found = self._found(run)
        if found is not None and "deletionTimestamp" not in found["metadata"]:
            self._cluster.delete(kind, run.name)
        elif self._cache.is_gone(kind, run.name, run.lists_before) and not self._cache.pods(*run.labels):
            self._logs.finish(run)
            self._ended(run, run.remembered.stop_outcome, run.remembered.stop or "")

    def _follow(self, run: KubernetesRun) -> None:
        from parallelm.agent.kubernetes.observed import standing

        kind, found = self._found(run)
        pods = self._cache.pods(*run.labels)
        self._logs.follow(run, pods)
        if found is None:
            if self._cache.is_gone(kind, run.name, run.lists_before):
                self._ended(run, "lost", f"somebody has deleted {kind.name} {run.name}")
            return
        now = standing(found, pods)
        if now.outcome is not None:
            if not self._pods_have_ended(run, pods):
                return
            self._changes(run, starts=now.starts, started_at_ms=now.started_at_ms)
            self._logs.finish(run)
            self._ended(run, now.outcome, now.message, exit_code=now.exit_code, at_ms=now.ended_at_ms)
            return
        self._changes(
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
        from parallelm.agent.kubernetes.objects import MODEL, is_service
        from parallelm.agent.kubernetes.observed import rollout

        model = run.wanted
        assert model is not None  # noqa: S101 - asked before
        if run.spec.running.model_delivery.by == "question" or not is_service(run.spec):
            self._delivered(
                run, model, "it takes a model when its program asks for one, or when it is started"
            )
            return
        annotations = found["spec"]["template"]["metadata"].get("annotations", {})
        if annotations.get(MODEL) != model.model_id:
            changed = self._cluster.replace(self._object(run, model))
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
        has = run.remembered.model if refused else model.model_dump(mode="json")
        self._changes(run, wanted=None, model=has, deliveries=[*run.remembered.deliveries, told])

    # ---- what is remembered -------------------------------------------------------------------------------------

    def _object(self, run: KubernetesRun, model: ModelSpec | None) -> dict[str, Any]:
        spec = run.spec.model_copy(update={"model": model})
        return object_of(spec, containers_of(spec), environ_of(spec, self._options.agent_id), self._options)

    def _found(self, run: KubernetesRun) -> tuple[Kind, dict[str, Any] | None]:
        from parallelm.agent.kubernetes.cluster import DEPLOYMENT, JOB
        from parallelm.agent.kubernetes.objects import is_service

        kind = DEPLOYMENT if is_service(run.spec) else JOB
        return kind, self._cache.get(kind, run.name)

    def _changes(self, run: KubernetesRun, **changes: Any) -> None:
        with self._lock:
            if any(getattr(run.remembered, name) != value for name, value in changes.items()):
                run.change(**changes)
                self._tell(run)

    def _ended(
        self, run: KubernetesRun, outcome: Outcome, message: str, *, exit_code: int = 0, at_ms: int = 0
    ) -> None:
        ending = Ending(
            outcome=outcome,
            exit_code=exit_code,
            starts=run.remembered.starts,
            message=message,
            ended_at_ms=at_ms or time.time_ns() // 1_000_000,
        )
        with self._lock:
            run.folder.save_ending(ending)
            self._tell(run)

    def _tell(self, run: KubernetesRun) -> None:
        self._changed[run.key] = None
        os.eventfd_write(self._event_fd, 1)

    def _told_away(self, why: str) -> None:
        if not self._is_away:
            logger.warning("%s; asking again", why)
        self._is_away = True


def _named(delivery: Delivery) -> tuple[str, str]:
    return delivery.model_id, delivery.deployment_id


def _made(context: RunnerContext) -> Runner | None:
    return KubernetesRunner(context) if context.settings.kubernetes.namespace else None


register("kubernetes", _made)
