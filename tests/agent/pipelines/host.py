"""A process runner with a folder and an artifact store of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.agent.keeping.log_reader import LogReader
from parallelm.agent.runners import RunKey, RunnerContext
from parallelm.agent.runners.process import ProcessRunner
from parallelm.connections import Settings
from parallelm.definitions.components import pack, read_component
from parallelm.definitions.run_spec import ComponentSpec, ModelSpec, RunSpec
from parallelm.definitions.running import RunningForm
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.agent.runners import RunStatus
    from parallelm.connections.settings import ComponentSettings


@dataclass
class RunnerHost:
    """What tests do with a runner."""

    folder: Path
    statuses: dict[RunKey, RunStatus] = field(default_factory=dict)
    component: ComponentSettings | None = None

    def __post_init__(self) -> None:
        self.store = self.folder / "artifacts"
        self.store.mkdir()
        defaults = Settings()
        artifacts = dataclasses.replace(defaults.artifacts, url=self.store.as_uri())
        # Whoever tests here has an outbox of their own.
        own = self.component or dataclasses.replace(
            defaults.component, outbox_folder=str(self.folder / "outbox")
        )
        self.settings = dataclasses.replace(defaults, artifacts=artifacts, component=own)
        self.runner = self.new_runner()
        self._runs = 0

    def new_runner(self) -> ProcessRunner:
        """A runner as a (re)started agent makes it."""
        return ProcessRunner(
            RunnerContext(
                settings=self.settings,
                agent_id="agent-1",
                folder=self.folder / "agent",
                supervisor_pid=os.getpid(),
            )
        )

    def restart(self) -> None:
        """As if the agent was killed and started again."""
        self.runner.close()
        self.runner = self.new_runner()
        self.statuses = {status.key: status for status in self.runner.recover()}

    def spec(self, *steps: dict[str, Any], mode: str = "offline", **values: Any) -> RunSpec:
        """Specification of a new run; ``values`` of its node, but for ``model``."""
        self._runs += 1
        model = values.pop("model", None)
        components = [ComponentSpec.of(each) for each in values.pop("components", [])]
        form = RunningForm.model_validate({"steps": list(steps), **values, "components": components})
        return RunSpec.of(
            {
                "mlapp_id": "churn",
                "mlapp_name": "Churn",
                "definition_version": 1,
                "node_id": "fit",
                "node_type": "model_consumer",
                "mode": mode,
                "pipeline_instance_id": "churn-fit-0",
                "run_id": f"run-{self._runs}",
                "running": form.spec().table(),
                "model": None if model is None else model.table(),
            }
        )

    def start(self, spec: RunSpec, lease_ends_s: float | None = None) -> RunKey:
        """Start it."""
        self.runner.start(spec, lease_ends_s)
        return RunKey(spec.run_id, spec.attempt)

    def run(self, *steps: dict[str, Any], **values: Any) -> RunStatus:
        """Run it to its end."""
        return self.ended(self.start(self.spec(*steps, **values)))

    def look(self) -> None:
        """Take what has changed."""
        for status in self.runner.changed():
            self.statuses[status.key] = status

    def status(self, key: RunKey) -> RunStatus | None:
        """What is known of it now."""
        self.look()
        return self.statuses.get(key)

    def ended(self, key: RunKey) -> RunStatus:
        """Its last status, waited for."""

        def over() -> RunStatus | None:
            status = self.status(key)
            return status if status is not None and status.is_over else None

        return wait_for(over, lambda: self.statuses.get(key))

    def texts(self, key: RunKey) -> list[str]:
        """What its programs have written."""
        folder = self.runner.logs(key)
        assert folder is not None
        reader = LogReader(folder)
        lines = reader.read(100_000)
        reader.close()
        return [line.text for line in lines]

    def wait_for_text(self, key: RunKey, text: str) -> None:
        """Wait for a line."""
        wait_for(lambda: text in self.texts(key), lambda: (self.status(key), self.texts(key)))

    def publish_component(self, folder: Path) -> dict[str, Any]:
        """Put a component's folder into the store."""
        with pack(folder, read_component(folder).files) as packed:
            place = self.store / packed.sha256
            shutil.copyfile(packed.file, place)
        return {
            "name": folder.name,
            "artifact_url": place.as_uri(),
            "sha256": packed.sha256,
            "size_bytes": packed.size_bytes,
        }

    def publish_model(self, model_id: str, content: bytes, deployment_id: str = "") -> ModelSpec:
        """Put a model's file into the store."""
        place = self.store / model_id
        place.write_bytes(content)
        return ModelSpec(
            model_id=model_id,
            artifact_url=place.as_uri(),
            file_name="model.txt",
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            deployment_id=deployment_id,
        )

    def close(self) -> None:
        """End what is left."""
        self.look()
        for status in [status for status in self.runner.recover() if not status.is_over]:
            self.runner.stop(status.key, "the test is over")
            self.ended(status.key)
        self.runner.close()
