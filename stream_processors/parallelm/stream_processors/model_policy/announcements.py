"""A model was published: each consuming node gets it as a candidate, or a record says why not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.stream_processors.model_policy import signatures, steps
from parallelm.stream_processors.model_policy.state import (
    MAX_PRODUCERS,
    MAX_WAITING,
    Announced,
    Consumer,
    MLAppDeployments,
)
from parallelm.stream_processors.model_policy.work import At, Outcome, Work

if TYPE_CHECKING:
    from collections.abc import Iterable


def on_announcement(known: MLAppDeployments, announced: Announced, at: At) -> Outcome:
    """Without a definition it waits for one."""
    known = signatures.noted(known, announced)
    work = Work(known, at)
    if announced.model_id in known.deleted:
        return work.outcome
    if known.version == 0:
        if all(waiting.model_id != announced.model_id for waiting in known.waiting):
            work.known = replace(known, waiting=(*known.waiting, announced)[-MAX_WAITING:])
        return work.outcome
    offer_to_all(work, announced)
    return work.outcome


def offer_to_all(work: Work, announced: Announced) -> None:
    """Offer a model to every node that takes it."""
    work.known = replace(work.known, latest=_latest(work.known.latest, announced))
    takers = [each for each in work.known.consumers if each.takes_from(announced.producer_node_id)]
    if not takers:
        reason = f"no node consumes models of node {announced.producer_node_id!r}"
        work.skip("", announced.model_id, announced.published, reason)
    for consumer in takers:
        offer_to(work, consumer, announced)


def offer_to(work: Work, consumer: Consumer, announced: Announced) -> None:
    """Offer a model to a node, unless the node is the canary of another one."""
    from parallelm.stream_processors.model_policy.definition import canary_nodes

    if consumer.node_id not in canary_nodes(work.known):
        steps.offer(work, consumer.node_id, announced)


def _latest(known: Iterable[Announced], announced: Announced) -> tuple[Announced, ...]:
    """The newest model of each producer by publication."""
    same = [each for each in known if each.producer_node_id == announced.producer_node_id]
    others = [each for each in known if each.producer_node_id != announced.producer_node_id]
    newest = max([*same, announced], key=lambda each: each.published)
    return (*others, newest)[-MAX_PRODUCERS:]
