"""What each kind of policy does first with a new model. Adding a kind is adding a file with a ``PolicyCore`` in it."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from parallelm.schemas.records import DeploymentState, ModelPolicy  # noqa: TC001 - part of the contract

if TYPE_CHECKING:
    from parallelm.stream_processors.model_policy.settings import PolicySettings
    from parallelm.stream_processors.model_policy.state import Deployment, NodeDeployments


class NextStep(NamedTuple):
    """The state that a candidate is to come into, and why."""

    state: DeploymentState
    reason: str


class PolicyCore:
    """One kind of policy; a subclass is registered by being defined."""

    kind: ClassVar[ModelPolicy]

    def __init_subclass__(cls, *, kind: ModelPolicy) -> None:
        cls.kind = kind
        POLICIES[kind] = cls()

    def next_step(self, settings: PolicySettings, node: NodeDeployments, candidate: Deployment) -> NextStep:
        """What follows for a model whose gates have passed and that nobody has cleared yet.

        ``requested``, or a state of its own, which its module acts on.
        """
        raise NotImplementedError


POLICIES: dict[ModelPolicy, PolicyCore] = {}

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
