"""Runs of MLApps: launch and stop them, run a node now, and remove an MLApp whose runs have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.operations.actions import ANSWER_TIMEOUT_S, act, new_action
from parallelm.operations.definitions import get_definition
from parallelm.operations.errors import UnknownNodeError, UnknownRunError
from parallelm.schemas.records import RunState
from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
from parallelm.schemas.topics import MLAPPS, RUNS
from parallelm.schemas.well_known import DELETE, FORCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import RunTransition
    from parallelm.warehouse.queries import OneOrMore

_SHOWN = 5


def decide_runs(
    settings: Settings,
    action: str,
    mlapp_id: str,
    *,
    who: Author,
    comment: str = "",
    node_id: str = "",
    run_id: str = "",
    force: bool = False,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> list[RunTransition]:
    """Carry out one of ``RUN_ACTIONS``, and return what the scheduler answers.

    A refusal is an answer like others, in state ``refused``. ``delete`` also removes the definition once it was answered.
    Raises ``UnknownMLAppError``, ``UnknownNodeError``, and as ``act``.
    """
    definition = get_definition(settings, mlapp_id)
    if node_id and node_id not in {node.node_id for node in definition.nodes}:
        known = ", ".join(node.node_id for node in definition.nodes)
        raise UnknownNodeError(f"MLApp {mlapp_id!r} has no node {node_id!r}; there are: {known}")
    record = new_action(
        action,
        mlapp_id,
        who=who,
        comment=comment,
        node_id=node_id,
        target=run_id,
        parameters={FORCE: "true"} if force else None,
    )
    answers: list[RunTransition] = act(settings, record, outcomes=RUNS, timeout_s=timeout_s)
    if action == DELETE and any(each.state is RunState.DELETED for each in answers):
        topic = MLAPPS.full_name(settings.kafka.topic_prefix)
        write_and_confirm(settings, [OutgoingRecord(topic, mlapp_id, None)])
    return answers


def was_refused(answers: Sequence[RunTransition]) -> bool:
    """Whether nothing of it was done."""
    return all(each.state is RunState.REFUSED for each in answers)


def find_run(settings: Settings, text: str, *, mlapp_id: OneOrMore | None = None) -> dict[str, Any]:
    """The run (of MLApps) whose id is ``text`` or begins with it, as the view ``runs_current`` has it; raises ``UnknownRunError``."""
    from parallelm.warehouse.queries.runs import run_ids_starting, run_rows

    found = run_ids_starting(settings, text, mlapp_id=mlapp_id, limit=_SHOWN)
    if len(found) > 1:
        raise UnknownRunError(f"several runs begin with {text!r}: {', '.join(found)}; give more of the id")
    rows = run_rows(settings, mlapp_id=mlapp_id, run_id=found[0]) if found else []
    if not rows:
        of = f" of MLApp {mlapp_id!r}" if isinstance(mlapp_id, str) else ""
        raise UnknownRunError(f"there is no run {text!r}{of}; `mcenter runs list` lists them")
    return rows[0]
