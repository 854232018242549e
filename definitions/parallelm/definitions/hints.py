"""What is right in an MLApp file, and perhaps not meant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from parallelm.definitions.node_types import CONSUMERS
from parallelm.definitions.records import running_of
from parallelm.schemas.records import ModelPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.schemas.records import MLAppDefinition, Policy

_HOLDS_BACK = ("before", "windows", "cool_down_ms")
"""Parameters of a policy by which a model that it takes is deployed later."""


def hints_of(definition: MLAppDefinition) -> Iterator[str]:
    """One text for each thing to look at."""
    for node in definition.nodes:
        running, policy = running_of(node), definition.node_policies.get(node.node_id, definition.policy)
        if running is None or node.type not in CONSUMERS or not _holds_back(policy):
            continue
        for producer in (trigger.model for trigger in running.triggers if trigger.model):
            yield (
                f"node {node.node_id!r} is due when {producer!r} publishes a model, and its policy "
                f"({policy.model_policy.value}) may deploy that later: the run would have the model of before; "
                f"{{deployed: {node.node_id}}} makes it due when the model is deployed"
            )


def _holds_back(policy: Policy) -> bool:
    if policy.model_policy is not ModelPolicy.ALWAYS_UPDATE:
        return True
    parameters = json.loads(policy.parameters_json)
    return any(parameters.get(key) for key in _HOLDS_BACK)
