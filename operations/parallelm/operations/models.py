"""Models and their deployments: what people decide about them, and what they look at before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.definitions.node_types import CONSUMERS
from parallelm.operations.actions import ANSWER_TIMEOUT_S, act, new_action
from parallelm.operations.definitions import get_definition
from parallelm.operations.errors import UnknownModelError, UnknownNodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import DeploymentTransition, MLAppDefinition

_SHOWN = 5
CONFIDENCE = 0.98


def decide(
    settings: Settings,
    action: str,
    mlapp_id: str,
    *,
    who: Author,
    comment: str = "",
    node_id: str = "",
    model_id: str = "",
    event_time_ms: int | None = None,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> list[DeploymentTransition]:
    """Carry out approve, reject, deploy, roll_back, pin or unpin, and return what the processors answer.

    Without a node it is meant for every node that it concerns, without a model for the one that is pending or live. A
    refusal is an answer like others, in state ``refused``. Raises ``UnknownMLAppError``, ``UnknownNodeError``, and
    as ``act``.
    """
    check_node(get_definition(settings, mlapp_id), node_id)
    record = new_action(
        action,
        mlapp_id,
        who=who,
        comment=comment,
        node_id=node_id,
        model_id=model_id,
        event_time_ms=event_time_ms,
    )
    return act(settings, record, timeout_s=timeout_s)


def check_node(definition: MLAppDefinition, node_id: str) -> None:
    """Raise ``UnknownNodeError`` when the MLApp has no such node that consumes models; empty: any."""
    consumers = [node.node_id for node in definition.nodes if node.type in CONSUMERS]
    if node_id and node_id not in consumers:
        known = ", ".join(consumers) or "none"
        raise UnknownNodeError(
            f"MLApp {definition.mlapp_id!r} has no node {node_id!r} that consumes models; there are: {known}"
        )


def resolve_model(settings: Settings, mlapp_id: str, text: str) -> str:
    """Id of the announced model that ``text`` is, or begins; raises ``UnknownModelError`` with those that there are."""
    from parallelm.warehouse.queries import models

    known: list[str] = list(models(settings, mlapp_id=mlapp_id)["model_id"])
    if text in known:
        return text
    found = [each for each in known if each.startswith(text)]
    if len(found) == 1:
        return found[0]
    latest = ", ".join(known[-_SHOWN:]) or "none yet"
    if found:
        raise UnknownModelError(f"{len(found)} models begin with {text!r}: {', '.join(found[-_SHOWN:])}")
    raise UnknownModelError(f"MLApp {mlapp_id!r} has no model {text!r}; the latest are: {latest}")


def compare(
    settings: Settings, mlapp_id: str, model_id: str, other_id: str, node_id: str | None = None
) -> pd.DataFrame:
    """Statistics of two models beside each other: one row a statistic, with the test that a canary makes.

    Columns: ``statistic, labels, samples, mean, samples_other, mean_other, shift, shift_from, shift_to, p_value``.
    """
    from parallelm.warehouse.queries import model_samples

    rows = model_samples(settings, mlapp_id, (model_id, other_id), node_id)
    return _frame([_compared(key, found, model_id, other_id) for key, found in _by_statistic(rows)])


def _by_statistic(rows: list[dict[str, Any]]) -> list[tuple[tuple[str, str], dict[str, dict[str, Any]]]]:
    found: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["name"], row["labels"]), {})[row["model_id"]] = row
    return sorted(found.items())


def _compared(
    key: tuple[str, str], found: Mapping[str, Mapping[str, Any]], model_id: str, other_id: str
) -> dict[str, Any]:
    from parallelm.stream_processors.model_policy.analysis.mann_whitney import shift_test

    ours, theirs = found.get(model_id), found.get(other_id)
    row: dict[str, Any] = {"statistic": key[0], "labels": key[1]}
    for suffix, side in (("", ours), ("_other", theirs)):
        row |= {f"samples{suffix}": side["n"] if side else 0, f"mean{suffix}": side["mean"] if side else None}
    if ours and theirs:
        test = shift_test(theirs["latest"], ours["latest"], CONFIDENCE)
        row |= {
            "shift": test.estimate,
            "shift_from": test.lower,
            "shift_to": test.upper,
            "p_value": test.p_value,
        }
    return row


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    columns = [
        "statistic", "labels", "samples", "mean", "samples_other", "mean_other", "shift", "shift_from", "shift_to",
        "p_value",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
