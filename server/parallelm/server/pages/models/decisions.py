"""What a person decides about a model or a node, and what to say of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Form, Request

from parallelm.operations import models as operations
from parallelm.operations.errors import NoAnswerError, NoEffectError
from parallelm.schemas.records import DeploymentState
from parallelm.server.context import context_of
from parallelm.server.stored import stored
from parallelm.warehouse.queries import answers_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.schemas.records import DeploymentTransition
    from parallelm.server.access.principal import Principal

Action = Literal["approve", "reject", "deploy", "roll_back", "pin", "unpin"]
PENDING: Final = ("awaiting_approval", "canary", "held")
"""States in which a model waits for a person, or may be decided on by one."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A form that somebody has sent."""

    action: Action
    node_id: str
    model_id: str
    comment: str


def decision(
    action: Annotated[Action, Form()],
    node_id: Annotated[str, Form(max_length=500)] = "",
    chosen: Annotated[str, Form(alias="model_id", max_length=500)] = "",
    comment: Annotated[str, Form(max_length=2000)] = "",
) -> Decision:
    """Dependency of a handler."""
    return Decision(action, node_id, chosen, comment)


def decide(request: Request, asking: Principal, mlapp_id: str, wanted: Decision) -> tuple[str, str]:
    """Carry it out, and wait until it is stored: what followed in words, and ``ok`` or ``error``.

    That somebody was faster is an answer like others, and so is that no processor runs.
    """
    settings = context_of(request).settings
    try:
        answers = operations.decide(
            settings,
            wanted.action,
            mlapp_id,
            who=asking.author,
            comment=wanted.comment,
            node_id=wanted.node_id,
            model_id=wanted.model_id,
        )
    except (NoAnswerError, NoEffectError) as error:
        return str(error), "error"
    said = in_words(answers)
    if not stored(lambda: _has(settings, mlapp_id, answers)):
        said += "; the page shows it as soon as it is stored"
    refused = all(each.state is DeploymentState.REFUSED for each in answers)
    return said, "error" if refused else "ok"


def in_words(answers: Sequence[DeploymentTransition]) -> str:
    """What followed, in a sentence: of the models that it superseded how many."""
    decided = [each for each in answers if each.state is not DeploymentState.SUPERSEDED] or answers
    said = "; ".join(_told(each) for each in decided)
    others = len(answers) - len(decided)
    return f"{said}; {others} other model{'s are' if others > 1 else ' is'} superseded" if others else said


def _told(each: DeploymentTransition) -> str:
    state = each.state.value.replace("_", " ")
    what = "" if each.state is DeploymentState.REFUSED else f"{state}: "
    return f"{each.node_id or each.mlapp_id}: {what}{each.reason}"


def _has(settings: Settings, mlapp_id: str, answers: Sequence[DeploymentTransition]) -> bool:
    cause = answers[-1].cause
    return answers_to(settings, mlapp_id, cause.topic, cause.partition, cause.offset) >= len(answers)
