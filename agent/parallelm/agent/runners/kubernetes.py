"""Runner ``kubernetes``: each run is a Job or a Deployment of a cluster, where big machines are.

What the agent asks is on disk before a call returns; a thread brings the cluster there, and what watches tell comes back
as ``changed``. An object is named after its run, so that the cluster itself refuses to start one twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.agent.errors import RunImpossibleError, RunRefusedError
from parallelm.agent.keeping.run_folder import RunFolder
from parallelm.agent.kubernetes.known_runs import KnownRuns
from parallelm.agent.kubernetes.objects import PodOptions, what_no_cluster_can
from parallelm.agent.kubernetes.run import KubernetesRun
from parallelm.agent.runners import register

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from parallelm.agent.keeping.records import Outcome
    from parallelm.agent.runners import Delivery, RunKey, Runner, RunnerContext, RunStatus
    from parallelm.definitions.run_spec import ModelSpec, RunSpec


class KubernetesRunner:
    """Runs in one namespace. As ``Runner`` wants it, one thread calls it; its own do what may wait."""

    def __init__(self, context: RunnerContext) -> None:
        from parallelm.agent.kubernetes.reconciler import Reconciler

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
        self._runs = KnownRuns()
        self._reconciler = Reconciler(self._runs, self._folder, settings, self._options)

    def recover(self) -> Iterable[RunStatus]:
        """Every run of the folder that was not settled; from then on the cluster is watched."""
        for path in sorted(self._folder.iterdir()):
            if not path.name.startswith("."):
                self._runs.add(KubernetesRun(RunFolder(path)))
        found = [run.status() for run in self._runs.all() if not run.is_settled]
        self._reconciler.begin()
        return found

    def start(self, spec: RunSpec, lease_ends_s: float | None) -> None:  # noqa: ARG002 - movable runs are refused
        """As ``Runner.start``."""
        if never := what_no_cluster_can(spec):
            raise RunImpossibleError(never)
        if not (spec.running.image or self._options.image):
            raise RunRefusedError(
                "no image: name one at the node (image: …) or in [kubernetes] image of the agent's mcenter.toml"
            )
        try:
            folder, _ = RunFolder.accept(self._folder, spec.run_id, spec.attempt, spec.json())
        except (ValueError, OSError) as error:
            raise RunRefusedError(str(error)) from error
        self._runs.add(KubernetesRun(folder))
        self._reconciler.look()

    def stop(self, key: RunKey, reason: str, outcome: Outcome = "stopped") -> None:
        """As ``Runner.stop``."""
        with self._runs.lock:
            run = self._runs.get(key)
            if run is None or run.ending is not None or run.remembered.stop is not None:
                return
            run.change(stop=reason, stop_outcome=outcome)
        self._reconciler.look()

    def deliver(self, key: RunKey, model: ModelSpec) -> None:
        """As ``Runner.deliver``."""
        with self._runs.lock:
            run = self._runs.get(key)
            if run is None or run.ending is not None or run.knows(model):
                return
            run.change(wanted=model.table())
        self._reconciler.look()

    def renew(self, key: RunKey, lease_ends_s: float) -> None:
        """Nothing: movable runs are refused."""

    def changed(self) -> Iterable[RunStatus]:
        """As ``Runner.changed``."""
        with self._runs.lock:
            return [run.status() for run in self._runs.changed()]

    def settle(self, status: RunStatus) -> None:
        """As ``Runner.settle``."""
        with self._runs.lock:
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
        return self._runs.event_fd

    def close(self) -> None:
        """As ``Runner.close``."""
        self._reconciler.close()
        self._runs.close()


def _named(delivery: Delivery) -> tuple[str, str]:
    return delivery.model_id, delivery.deployment_id


def _made(context: RunnerContext) -> Runner | None:
    return KubernetesRunner(context) if context.settings.kubernetes.namespace else None


register("kubernetes", _made)
