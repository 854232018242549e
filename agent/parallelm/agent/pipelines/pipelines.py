"""Begins accepted runs: everything between the specification and the keeper. Slow, and repeatable at any point."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from typing import TYPE_CHECKING

from parallelm.agent.keeping.cgroups import delegated
from parallelm.agent.keeping.process_identity import ProcessIdentity
from parallelm.agent.keeping.records import Ending
from parallelm.agent.pipelines import delivery_book, model_files
from parallelm.agent.pipelines.components import ComponentCache
from parallelm.agent.pipelines.environments import PythonEnvironments
from parallelm.agent.pipelines.errors import PreparationError
from parallelm.agent.pipelines.planning import Planner
from parallelm.agent.pipelines.secrets import resolved_secrets
from parallelm.agent.runners import Delivery
from parallelm.definitions.run_spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.agent.keeping.keepers import Keepers
    from parallelm.agent.keeping.run_folder import RunFolder
    from parallelm.agent.pipelines.disk_space import DiskSpace
    from parallelm.connections import Settings
    from parallelm.definitions.run_spec import ModelSpec

_LOG = logging.getLogger(__name__)


class Pipelines:
    """Used by any number of threads, each with a run of its own."""

    def __init__(
        self,
        keepers: Keepers,
        disk: DiskSpace,
        folder: Path,
        settings: Settings,
        agent_id: str,
        host: Mapping[str, str],
    ) -> None:
        self._keepers, self._disk, self._settings = keepers, disk, settings
        self._host = dict(host)
        self._planner = Planner(
            ComponentCache(folder / "components", settings),
            PythonEnvironments(folder / "environments"),
            self._host,
            agent_id,
            delegated(),
        )
        self._unsaid: dict[str, Ending] = {}
        """Of runs that this process has claimed: what the disk has not taken yet."""

    def begin(self, run: RunFolder) -> None:
        """Fetch what it needs and have a keeper begin it; a run that cannot begin has failed, with the reason.

        Its lease is what ``RunFolder.save_lease`` has said by then. Raises ``OSError`` when the disk does not take how it
        ended; call it again then.
        """
        ending = self._unsaid.get(run.path.name) or self._tried(run)
        if ending is not None:
            self._end(run, ending)

    def _tried(self, run: RunFolder) -> Ending | None:
        """Begin it; returns how it has ended instead."""
        try:
            spec = RunSpec.of_json(run.spec_json())
            stop = run.request()
            if stop.stop is not None:
                return Ending(outcome=stop.outcome, message=stop.stop)
            if spec.running.placement == "movable" and run.lease_end_s() is None:
                return Ending(outcome="lease_lost", message="the agent ended before it had a lease")
            self._disk.with_room(lambda: self._begin(spec, run))
        except PreparationError as error:
            message = str(error)
        except OSError as error:
            message = f"it cannot be started here: {error}"
        except Exception as error:  # noqa: BLE001 - one run must not end the agent, now and at each start
            _LOG.exception("run %s cannot be started", run.path.name)
            message = f"it cannot be started here: {type(error).__name__}: {error}"
        else:
            return None
        return Ending(outcome="failed", exit_code=1, message=message)

    def _end(self, run: RunFolder, ending: Ending) -> None:
        """Say how it ended, unless a keeper has claimed it: one whose start was answered too late."""
        own = ProcessIdentity.own()
        if run.keeper() == own or run.claim(own):
            self._unsaid[run.path.name] = ending
            run.save_ending(dataclasses.replace(ending, ended_at_ms=time.time_ns() // 1_000_000))
        self._unsaid.pop(run.path.name, None)

    def _begin(self, spec: RunSpec, run: RunFolder) -> None:
        if spec.model is not None and not model_files.current(run)[0]:
            path = model_files.download(run, spec.model, self._settings)
            model_files.switch(run, spec.model.model_id, path)
        plan = self._planner.plan(spec, run)
        try:
            self._keepers.start(run, plan, inherited=self._host, secrets=self.secrets(spec))
        except OSError:
            if run.keeper() is None:
                raise
        if spec.model is not None and spec.running.model_delivery.by != "question":
            _accept_first(run, spec.model)

    def secrets(self, spec: RunSpec) -> dict[str, str]:
        """Its secrets, as the host has them now. Raises ``PreparationError``."""
        return resolved_secrets(spec.running.secrets, os.environ)

    def environ(self, run: RunFolder) -> dict[str, str]:
        """Environment of one more program of the run, all but its secrets. Raises ``PreparationError``."""
        return {**self._host, **run.plan().environ}


def _accept_first(run: RunFolder, model: ModelSpec) -> None:
    """A program that begins with a model has it."""
    if model.deployment_id and delivery_book.open_delivery(run, model):
        delivery = Delivery(
            model_id=model.model_id,
            deployment_id=model.deployment_id,
            is_accepted=True,
            reason="",
            at_ms=time.time_ns() // 1_000_000,
        )
        delivery_book.close_delivery(run, model, delivery)
