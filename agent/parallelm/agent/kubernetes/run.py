"""A run that is given to Kubernetes: what its folder remembers, so that an agent that ends at any moment goes on with it."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.agent.keeping.files import read_json, replace_json
from parallelm.agent.kubernetes.objects import label_value, object_name
from parallelm.agent.runners import Delivery, RunKey, RunStatus
from parallelm.definitions.run_spec import ModelSpec, RunSpec

if TYPE_CHECKING:
    from parallelm.agent.keeping.records import Ending, Outcome
    from parallelm.agent.keeping.run_folder import RunFolder

_FILE = "cluster.json"
_SETTLED = "settled"


@dataclass(slots=True)
class Remembered:
    """The file."""

    is_created: bool = False
    """The cluster has taken its object."""
    stop: str | None = None
    """Why it is to end."""
    stop_outcome: Outcome = "stopped"
    starts: int = 0
    started_at_ms: int = 0
    message: str = ""
    model: dict[str, Any] | None = None
    """The model that it has, as it was delivered last; None: that of its specification."""
    wanted: dict[str, Any] | None = None
    """The model that is being delivered."""
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    """Time of the last line that was read, by Pod and container."""


class KubernetesRun:
    """One attempt of a run. Threads may share it."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.spec = RunSpec.of_json(folder.spec_json())
        self.name = object_name(self.spec)
        self.labels = label_value(self.spec.run_id), str(self.spec.attempt)
        self.remembered = Remembered(**read_json(folder.path / _FILE) or {})
        self._saving = threading.Lock()
        self.over_since_s = 0.0
        """When its Job was first seen to be over, by the monotonic clock."""
        self.lists_before = -1
        """How often objects had been listed when its object was created; -1: it was created by an earlier agent."""

    @property
    def key(self) -> RunKey:
        """Its name here."""
        return RunKey(self.spec.run_id, self.spec.attempt)

    @property
    def ending(self) -> Ending | None:
        """How it ended."""
        return self.folder.ending()

    @property
    def is_settled(self) -> bool:
        """Whether the control plane knows how it ended."""
        return (self.folder.path / _SETTLED).exists()

    def settle(self) -> None:
        """The control plane knows how it ended."""
        (self.folder.path / _SETTLED).touch()

    @property
    def model(self) -> ModelSpec | None:
        """The model that it has."""
        found = self.remembered.model
        return ModelSpec.of(found) if found is not None else self.spec.model

    @property
    def wanted(self) -> ModelSpec | None:
        """The model that is being delivered."""
        found = self.remembered.wanted
        return ModelSpec.of(found) if found is not None else None

    def knows(self, model: ModelSpec) -> bool:
        """Whether this delivery was asked for before."""
        deliveries = {(each["model_id"], each["deployment_id"]) for each in self.remembered.deliveries}
        wanted = self.wanted
        if wanted is not None:
            deliveries.add((wanted.model_id, wanted.deployment_id))
        return (model.model_id, model.deployment_id) in deliveries

    def change(self, **changes: Any) -> None:
        """Have the folder remember something, and then this process; raises ``OSError``, and nothing has changed."""
        with self._saving:
            new = dataclasses.replace(self.remembered, **changes)
            replace_json(self.folder.path / _FILE, dataclasses.asdict(new))
            self.remembered = new

    def read_up_to(self, source: str, at: str) -> None:
        """Note the time of the last line of a container; ``change`` writes it."""
        with self._saving:
            self.remembered.logs[source] = at

    def status(self) -> RunStatus:
        """For the agent."""
        ending, known, model = self.ending, self.remembered, self.model
        return RunStatus(
            key=self.key,
            spec=self.spec,
            starts=known.starts,
            started_at_ms=known.started_at_ms,
            ended_at_ms=ending.ended_at_ms if ending else 0,
            outcome=ending.outcome if ending else "",
            exit_code=ending.exit_code if ending else 0,
            message=ending.message if ending else known.message,
            model_id=model.model_id if model else "",
            deliveries=tuple(Delivery(**each) for each in known.deliveries),
        )
