"""What an MLApp file must not contradict itself in, beyond the types of its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.definitions.model import ThresholdRuleEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.model import MLAppEntry

PRODUCERS = frozenset({"model_producer", "model_producer_consumer"})
CONSUMERS = frozenset({"model_consumer", "model_producer_consumer"})


def contradictions(entry: MLAppEntry) -> Iterator[tuple[Path, str]]:
    """Each contradiction: the path of the value to blame, and what is wrong with it."""
    yield from _twice("nodes", "id", [node.id for node in entry.nodes])
    yield from _twice("alerts", "name", [rule.name for rule in entry.alerts])
    yield from _links(entry)
    yield from _cycles(entry)
    yield from _rules(entry)


def _twice(section: str, key: str, names: Sequence[str]) -> Iterator[tuple[Path, str]]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (section, index, key), f"{key} {name!r} is used by another of the {section}"


def _links(entry: MLAppEntry) -> Iterator[tuple[Path, str]]:
    types = {node.id: node.type for node in entry.nodes}
    for index, node in enumerate(entry.nodes):
        for at, parent in enumerate(node.parents):
            if parent not in types:
                yield ("nodes", index, "parents", at), f"no node {parent!r}; there are: {', '.join(types)}"
        for at, producer in enumerate(node.consumes):
            if types.get(producer) not in PRODUCERS:
                known = ", ".join(name for name, kind in types.items() if kind in PRODUCERS) or "none"
                message = f"no node {producer!r} produces models; producers are: {known}"
                yield ("nodes", index, "consumes", at), message
        if node.consumes and node.type not in CONSUMERS:
            yield ("nodes", index, "consumes"), f"a {node.type} consumes no models"


def _cycles(entry: MLAppEntry) -> Iterator[tuple[Path, str]]:
    parents = {node.id: set(node.parents) & {other.id for other in entry.nodes} for node in entry.nodes}
    while free := [name for name, above in parents.items() if not above]:
        for name in free:
            del parents[name]
        for above in parents.values():
            above.difference_update(free)
    for index, node in enumerate(entry.nodes):
        if node.id in parents:
            yield ("nodes", index, "parents"), f"node {node.id!r} follows itself"
            return


def _rules(entry: MLAppEntry) -> Iterator[tuple[Path, str]]:
    nodes = {node.id for node in entry.nodes}
    for index, rule in enumerate(entry.alerts):
        if rule.node is not None and rule.node not in nodes:
            yield ("alerts", index, "node"), f"no node {rule.node!r}; there are: {', '.join(sorted(nodes))}"
        if isinstance(rule, ThresholdRuleEntry) and (rule.above is None) == (rule.below is None):
            yield ("alerts", index), "a threshold rule needs exactly one of 'above' and 'below'"
        if rule.reason and "reason" in rule.annotations:
            yield ("alerts", index, "annotations", "reason"), "the reason is given twice"
