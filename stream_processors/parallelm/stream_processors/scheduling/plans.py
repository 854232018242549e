"""What the scheduler needs of a node's definition."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.definitions.running import RunningForm
from parallelm.stream_processors.alerts.ids import digest

if TYPE_CHECKING:
    from parallelm.definitions.run_spec import RunningSpec
    from parallelm.schemas.records import MLAppDefinition, Node

logger = logging.getLogger(__name__)

NOT_BY_AGENTS = frozenset({"", "{}"})
"""``running_json`` of a node that somebody else starts."""
_REMEMBERED_FORMS = 50_000


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node that agents run."""

    node_id: str
    type: str
    mode: str
    parents: tuple[str, ...]
    running_json: str

    @property
    def running(self) -> RunningForm:
        """How agents run it."""
        return _form(self.running_json)

    @property
    def told(self) -> RunningSpec:
        """How agents run it, as they are told."""
        return _told(self.running_json)

    @property
    def form(self) -> str:
        """Changes when a service has to be started anew."""
        return _digest_of(self.type, self.mode, self.running_json)

    @property
    def is_online(self) -> bool:
        """Whether its instances are kept running."""
        return self.mode == "online"

    @property
    def is_movable(self) -> bool:
        """Whether its runs go elsewhere when their agent is cut off."""
        return self.running.placement == "movable"


def plans_of(definition: MLAppDefinition) -> tuple[NodePlan, ...]:
    """Nodes of a definition that agents run; one that cannot be read is left to others, with a warning."""
    return tuple(
        NodePlan(node.node_id, node.type, node.mode, tuple(node.parents), node.running_json)
        for node in definition.nodes
        if node.running_json not in NOT_BY_AGENTS and _can_be_read(definition.mlapp_id, node)
    )


def _can_be_read(mlapp_id: str, node: Node) -> bool:
    try:
        _form(node.running_json)
    except ValueError as error:  # written by another version, or by hand
        logger.warning("how agents run node %r of MLApp %r cannot be read: %r", node.node_id, mlapp_id, error)
        return False
    return True


@functools.lru_cache(_REMEMBERED_FORMS)
def _form(text: str) -> RunningForm:
    return RunningForm.model_validate_json(text)


@functools.lru_cache(_REMEMBERED_FORMS)
def _told(text: str) -> RunningSpec:
    return _form(text).spec()


@functools.lru_cache(_REMEMBERED_FORMS)
def _digest_of(*parts: str) -> str:
    return digest(*parts)
