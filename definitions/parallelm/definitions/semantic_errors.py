"""Mistakes in an MLApp file that the types of its fields do not show: unknown nodes, repeated names, cycles.

Works on the document as written, so that these mistakes are reported together with wrong types elsewhere: a value of the
wrong type is passed over here, since it is reported already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.definitions.node_entries import node_entries, text_of, unknown
from parallelm.definitions.node_types import CONSUMERS, NODE_TYPES, PRODUCERS
from parallelm.definitions.policies import DEFAULT_KIND, POLICY_FORMS
from parallelm.definitions.rules import RULE_FORMS, RuleForm
from parallelm.definitions.running_errors import running_errors, secret_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.node_entries import NodeEntry


def semantic_errors(document: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Each mistake: the path of the value at fault, and what is wrong with it."""
    nodes = node_entries(document)
    rules = document.get("alerts")
    yield from _used_twice("nodes", "id", document.get("nodes"))
    yield from _names_used_twice(nodes)
    yield from _used_twice("alerts", "name", rules)
    yield from _links(nodes)
    yield from _cycles(nodes)
    yield from running_errors(nodes, document.get("policy"))
    yield from secret_parameters(document)
    yield from _policies(document.get("policy"), nodes, rules)
    for index, raw in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(raw, dict):
            yield from _rule(index, raw, nodes)


def _used_twice(section: str, key: str, entries: Any) -> Iterator[tuple[Path, str]]:
    seen: set[str] = set()
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        name = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            yield (section, index, key), f"{key} {name!r} is already used in {section}"
        seen.add(name)


def _names_used_twice(nodes: Sequence[NodeEntry]) -> Iterator[tuple[Path, str]]:
    """Components ask for a node by its name; a node without a name is found by its id."""
    ids = {node.id: node.index for node in nodes if node.id}
    seen: set[str] = set()
    for node in nodes:
        name = node.raw.get("name")
        if not isinstance(name, str):
            continue
        if name in seen or ids.get(name, node.index) != node.index:
            yield ("nodes", node.index, "name"), f"name {name!r} is already used in nodes"
        seen.add(name)


def _links(nodes: Sequence[NodeEntry]) -> Iterator[tuple[Path, str]]:
    types = {node.id: node.type for node in nodes if node.id}
    for node in nodes:
        for at, parent in node.listed("parents"):
            if parent not in types:
                yield ("nodes", node.index, "parents", at), unknown("node", parent, types)
        yield from _consumes(node, types)
        for key in ("parents", "consumes"):
            items = list(node.listed(key))
            for position, (at, item) in enumerate(items):
                if any(item == earlier for _, earlier in items[:position]):
                    yield ("nodes", node.index, key, at), f"{item!r} is listed twice"


def _consumes(node: NodeEntry, types: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    for at, producer in node.listed("consumes"):
        place: Path = ("nodes", node.index, "consumes", at)
        if producer not in types:
            yield place, unknown("node", producer, types)
        elif types[producer] in NODE_TYPES - PRODUCERS:
            known = ", ".join(name for name, kind in types.items() if kind in PRODUCERS) or "none"
            yield (
                place,
                f"node {producer!r} is of type {types[producer]}, which produces no models; producers: {known}",
            )
    if node.raw.get("consumes") and node.type in NODE_TYPES - CONSUMERS:
        yield (
            ("nodes", node.index, "consumes"),
            f"nodes[{node.index}] is of type {node.type}, which consumes no models",
        )


def _cycles(nodes: Sequence[NodeEntry]) -> Iterator[tuple[Path, str]]:
    """Each group of nodes that follow each other, once: the strongly connected parts of the graph of parents."""
    first = {node.id: node for node in reversed(nodes) if node.id}
    parents = {name: [p for _, p in node.listed("parents") if p in first] for name, node in first.items()}
    if not _left_in_cycles(parents):
        return
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = sorted(first, key=lambda name: first[name].index)
    number = {name: at for at, name in enumerate(names)}
    edges = [(number[name], number[parent]) for name, above in parents.items() for parent in above]
    rows, columns = np.array(edges).T
    graph = coo_array((np.ones(len(edges), dtype=np.int8), (rows, columns)), shape=(len(names), len(names)))
    _, groups = connected_components(graph, directed=True, connection="strong")
    for group in dict.fromkeys(groups.tolist()):
        members = [name for name, its in zip(names, groups, strict=True) if its == group]
        place: Path = ("nodes", first[members[0]].index, "parents")
        if len(members) > 1:
            listed = ", ".join(map(repr, members[:-1])) + f" and {members[-1]!r}"
            yield place, f"nodes {listed} follow each other in a circle"
        elif members[0] in parents[members[0]]:
            yield place, f"node {members[0]!r} follows itself"


def _left_in_cycles(parents: Mapping[str, Sequence[str]]) -> bool:
    """Whether any node is in a cycle, found without the imports that it takes to say which."""
    from graphlib import CycleError, TopologicalSorter

    try:
        TopologicalSorter(parents).prepare()
    except CycleError:
        return True
    return False


def _rule(index: int, raw: Mapping[str, Any], nodes: Sequence[NodeEntry]) -> Iterator[tuple[Path, str]]:
    ids = [node.id for node in nodes if node.id]
    form = RULE_FORMS.get(text_of(raw.get("type")))
    for path, node_id in (form or RuleForm).named_nodes(raw):
        if node_id not in ids:
            yield ("alerts", index, *path), unknown("node", node_id, ids)
    if form is not None:
        for path, message in form.semantic_errors(raw):
            yield ("alerts", index, *path), message


def _policies(of_mlapp: Any, nodes: Sequence[NodeEntry], rules: Any) -> Iterator[tuple[Path, str]]:
    """The MLApp's policy and those of nodes, each for itself and together."""
    found: list[tuple[Path, str, Mapping[str, Any]]] = [
        (("nodes", node.index, "policy"), node.id, node.raw["policy"])
        for node in nodes
        if isinstance(node.raw.get("policy"), dict)
    ]
    for place, node_id, _ in found:
        kind = next(node.type for node in nodes if node.id == node_id)
        if kind in NODE_TYPES - CONSUMERS:
            yield place, f"node {node_id!r} is of type {kind}, which consumes no models and needs no policy"
    if isinstance(of_mlapp, dict):
        found.insert(0, (("policy",), "", of_mlapp))
    types = {node.id: node.type for node in nodes if node.id}
    names = (
        [text_of(rule.get("name")) for rule in rules or () if isinstance(rule, dict)]
        if isinstance(rules, list)
        else []
    )
    for place, node_id, raw in found:
        form = POLICY_FORMS.get(text_of(raw.get("model_policy", DEFAULT_KIND)))
        for path, message in form.semantic_errors(raw, types, node_id) if form is not None else ():
            yield (*place, *path), message
        yield from _unknown_rules(place, raw, names)
    yield from _shared_canaries(found, nodes)


def _unknown_rules(
    place: Path, policy: Mapping[str, Any], names: Sequence[str]
) -> Iterator[tuple[Path, str]]:
    alerts = policy.get("rollback_on")
    for at, alert in enumerate(alerts if isinstance(alerts, list) else ()):
        rule = alert.get("rule") if isinstance(alert, dict) else None
        if isinstance(rule, str) and rule not in names:
            yield (*place, "rollback_on", at, "rule"), unknown("alert rule", rule, names)


def _shared_canaries(
    policies: Sequence[tuple[Path, str, Mapping[str, Any]]], nodes: Sequence[NodeEntry]
) -> Iterator[tuple[Path, str]]:
    """A canary node serves one node: for two it would have to run two models."""
    own = {node_id for _, node_id, _ in policies if node_id}
    canaries = {_canary_node(raw) for _, _, raw in policies} - {""}
    taken: dict[str, str] = {}
    for place, node_id, raw in policies:
        canary = _canary_node(raw)
        sharing = (
            [node_id]
            if node_id
            else [node.id for node in nodes if node.type in CONSUMERS and node.id not in own | canaries]
        )
        for each in sharing if canary else ():
            if canary in taken:
                yield (
                    (*place, "canary", "node"),
                    f"node {canary!r} is the canary of node {taken[canary]!r} already; {each!r} needs one of its own",
                )
                break
            taken[canary] = each


def _canary_node(policy: Mapping[str, Any]) -> str:
    options = policy.get("canary")
    return text_of(options.get("node")) if isinstance(options, dict) else ""
