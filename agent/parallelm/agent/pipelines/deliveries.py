"""Gives a running program another model: fetched, tried, switched, told; accepted, or rolled back to the one before."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from parallelm.agent.pipelines import delivery_book, model_files
from parallelm.agent.pipelines.errors import DiskFullError, PreparationError
from parallelm.agent.pipelines.smoke_test import smoke_test
from parallelm.agent.pipelines.variables import MODEL_ID, MODEL_PATH
from parallelm.agent.runners import Delivery
from parallelm.definitions.run_spec import RunSpec

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.agent.keeping.keepers import Keepers
    from parallelm.agent.keeping.records import Progress
    from parallelm.agent.keeping.run_folder import RunFolder
    from parallelm.agent.pipelines.disk_space import DiskSpace
    from parallelm.agent.pipelines.pipelines import Pipelines
    from parallelm.connections import Settings
    from parallelm.definitions.run_spec import ModelSpec

SETTLED_S = 2.0
"""A program that has run for this long with the new model has taken it."""
_POLL_S = 0.05
_FETCH_AGAIN_S = 2.0
_LOG = logging.getLogger(__name__)


class Deliveries:
    """Delivers models; one delivery of a run at a time."""

    def __init__(self, keepers: Keepers, pipelines: Pipelines, disk: DiskSpace, settings: Settings) -> None:
        self._keepers, self._pipelines, self._disk, self._settings = keepers, pipelines, disk, settings
        self._unsaid: dict[tuple[str, str, str], Delivery | None] = {}
        """How deliveries went: what the disk has not taken yet."""

    def deliver(self, run: RunFolder, model: ModelSpec) -> None:
        """Deliver it; how it went is in the run's book of deliveries. Repeatable at any point.

        Raises ``OSError`` when the disk does not take how it went; call it again then.
        """
        key = (run.path.name, model.model_id, model.deployment_id)
        if key not in self._unsaid:
            self._unsaid[key] = self._tried(run, model)
        delivery_book.close_delivery(run, model, self._unsaid[key])
        del self._unsaid[key]

    def _tried(self, run: RunFolder, model: ModelSpec) -> Delivery | None:
        """How it went; None: the program says itself whether it has accepted it."""
        asks_itself = False
        try:
            spec = RunSpec.of_json(run.spec_json())
            asks_itself = spec.running.model_delivery.by == "question"
            self._deliver(spec, run, model)
        except (PreparationError, OSError) as error:
            accepted, reason = False, str(error)
        except Exception as error:  # noqa: BLE001 - one model must not end the agent, now and at each start
            _LOG.exception("model %r cannot be delivered to run %s", model.model_id, run.path.name)
            accepted, reason = False, f"{type(error).__name__}: {error}"
        else:
            accepted, reason = True, ""
        if accepted and asks_itself:
            return None
        return Delivery(
            model_id=model.model_id,
            deployment_id=model.deployment_id,
            is_accepted=accepted,
            reason=reason,
            at_ms=time.time_ns() // 1_000_000,
        )

    def _deliver(self, spec: RunSpec, run: RunFolder, model: ModelSpec) -> None:
        form = spec.running.model_delivery
        until_s = time.monotonic() + form.time_limit / 1000
        if form.by == "question" and form.smoke_test is None:
            return  # the program fetches it itself
        self._progress(run)  # of a run that has ended, nothing is fetched
        path = self._fetched(run, model, until_s)
        if form.smoke_test is not None:
            environ = self._pipelines.environ(run) | {MODEL_ID: model.model_id, MODEL_PATH: str(path)}
            secrets = self._pipelines.secrets(spec)
            limit_s = max(1.0, until_s - time.monotonic())
            reason = smoke_test(form.smoke_test, environ, secrets, run.work, limit_s)
            if reason:
                raise PreparationError(reason)
        if form.by == "question":
            return
        former_id, former = model_files.former_of(run, path)
        # A program that began without a model has not been told where one is: it is started again.
        how = "restart" if former is None else form.by
        before = self._progress(run)
        model_files.switch(run, model.model_id, path)
        try:
            self._tell(spec, run, how, before, until_s)
        except PreparationError:
            if former != path:
                model_files.switch_back(run, former_id, former)
                self._ask(spec, run, how)
            raise
        model_files.delete_others(run)

    def _fetched(self, run: RunFolder, model: ModelSpec, until_s: float) -> Path:
        """Fetch it, again while the artifact store is away."""
        while True:
            try:
                return self._disk.with_room(lambda: model_files.download(run, model, self._settings))
            except (PreparationError, DiskFullError):
                self._progress(run)
                if time.monotonic() + _FETCH_AGAIN_S > until_s:
                    raise
                time.sleep(_FETCH_AGAIN_S)

    def _tell(self, spec: RunSpec, run: RunFolder, how: str, before: Progress, until_s: float) -> None:
        """Tell the program, and see that it goes on with the new model."""
        self._ask(spec, run, how)
        starts = before.starts + (1 if how == "restart" else 0)
        settled_at_s: float | None = None
        while settled_at_s is None or time.monotonic() < settled_at_s:
            progress = self._progress(run)
            if progress.starts > starts or (settled_at_s is not None and not progress.pid):
                code = progress.last_exit_code
                raise PreparationError(
                    f"the program ended with exit code {code} when it had been given the model"
                )
            if settled_at_s is None and progress.starts == starts and progress.pid:
                settled_at_s = time.monotonic() + SETTLED_S
            if time.monotonic() > until_s:
                raise PreparationError("the program did not start again with the model in time")
            time.sleep(_POLL_S)

    def _ask(self, spec: RunSpec, run: RunFolder, how: str) -> None:
        if how == "restart":
            self._keepers.restart(run)
        else:
            self._keepers.signal(run, spec.running.model_delivery.signal)

    def _progress(self, run: RunFolder) -> Progress:
        """Raises ``PreparationError`` when it has ended."""
        if not self._goes_on(run):
            ending = run.ending()
            raise PreparationError(f"the run has ended: {ending.outcome if ending else 'lost'}")
        return run.progress()

    def _goes_on(self, run: RunFolder) -> bool:
        return self._keepers.phase(run) != "ended"
