"""From the text of an MLApp file to its model, or to every mistake in it with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from parallelm.definitions.components.form import ComponentForm
from parallelm.definitions.components.step_errors import named_components, step_errors
from parallelm.definitions.errors import DefinitionError, Problem
from parallelm.definitions.marked_yaml import read_marked
from parallelm.definitions.mistakes import one_of, shown
from parallelm.definitions.mlapp import MLApp, MLAppForm, NodeForm
from parallelm.definitions.node_entries import node_entries
from parallelm.definitions.parameters import with_parameters
from parallelm.definitions.policies import DEFAULT_KIND, POLICY_FORMS, PolicyForm
from parallelm.definitions.rule_defaults import RuleDefaultsForm, with_defaults
from parallelm.definitions.rules import RULE_FORMS, RuleForm
from parallelm.definitions.sections import AnyForm, SectionReader, listed
from parallelm.definitions.semantic_errors import semantic_errors

if TYPE_CHECKING:
    from parallelm.definitions.marked_yaml import Path

ComponentLoader = Callable[[Sequence[str]], Mapping[str, ComponentForm | None]]
"""From names to the components that there are; None: it is wrong itself."""

MAX_BYTES = 400_000
"""A definition is sent with its text as one record, and brokers accept records up to 1 MB."""


def parse_definition(text: str, source: str, load: ComponentLoader | None = None) -> MLApp:
    """Model of an MLApp file; raises ``DefinitionError`` with every mistake in it. ``source`` names the file there.

    ``load`` gives the components that steps name; without it steps are not held against them.
    """
    size_bytes = len(text.encode(errors="surrogatepass"))
    if size_bytes > MAX_BYTES:
        raise DefinitionError(
            source, [Problem(1, 1, f"{size_bytes} bytes are too many; at most {MAX_BYTES}")]
        )
    return _Reading(with_parameters(read_marked(text, source))).result(source, load)


class _Reading(SectionReader):
    """One MLApp file."""

    def result(self, source: str, load: ComponentLoader | None) -> MLApp:
        raw = self._document.value
        top = self._form(MLAppForm, raw, ())
        raw = raw if isinstance(raw, dict) else {}
        nodes = [self._form(NodeForm, node, ("nodes", at)) for at, node in enumerate(listed(raw, "nodes"))]
        policy = self._policy(raw.get("policy", {}), ("policy",))
        own_policies = {
            node["id"]: self._policy(node["policy"], ("nodes", at, "policy"))
            for at, node in enumerate(listed(raw, "nodes"))
            if isinstance(node, dict) and isinstance(node.get("id"), str) and node.get("policy") is not None
        }
        defaults = self._rule_defaults(raw.get("alert_defaults", {}))
        rules = [self._rule(rule, ("alerts", at), defaults) for at, rule in enumerate(listed(raw, "alerts"))]
        if raw.get("nodes") == []:
            self._add(("nodes",), "nodes must not be empty")
        for path, message in semantic_errors(raw):
            self._add(path, message)
        if load is not None:
            entries = node_entries(raw)
            for path, message in step_errors(entries, load(named_components(entries))):
                self._add(path, message)
        if self._problems or top is None or policy is None:
            raise DefinitionError(source, list(dict.fromkeys(self._problems)))
        return MLApp(
            mlapp_id=top.mlapp,
            name=top.name or top.mlapp,
            description=top.description,
            stage=top.stage,
            nodes=tuple(node for node in nodes if node),
            policy=policy,
            node_policies={node_id: found for node_id, found in own_policies.items() if found},
            rules=tuple(rule for rule in rules if rule),
        )

    def _policy(self, raw: Any, where: Path) -> PolicyForm | None:
        if not isinstance(raw, dict):
            return None  # the form of what it is in has reported it
        form = self._variant(raw.get("model_policy", DEFAULT_KIND), POLICY_FORMS, (*where, "model_policy"))
        # The fields that every policy has are checked even when the kind does not exist.
        found = self._form(form or POLICY_FORMS[DEFAULT_KIND], raw, where)
        return found if form else None

    def _rule_defaults(self, raw: Any) -> Mapping[str, Any]:
        """What the rules of the file share; empty when it is wrong, which is reported once."""
        if not isinstance(raw, dict):
            return {}  # the top level's form has reported it
        return raw if self._form(RuleDefaultsForm, raw, ("alert_defaults",)) else {}

    def _rule(self, raw: Any, where: Path, defaults: Mapping[str, Any]) -> RuleForm | None:
        if not isinstance(raw, dict):
            self._add(where, f"{shown(where)} must be a mapping of keys and values")
            return None
        if raw.get("type") is None:
            self._add(where, f"{shown(where)} has no type; there are: {', '.join(sorted(RULE_FORMS))}")
            return None
        form = self._variant(raw["type"], RULE_FORMS, (*where, "type"))
        return self._form(form, with_defaults(form, raw, defaults), where) if form else None

    def _variant(self, given: Any, forms: Mapping[str, type[AnyForm]], where: Path) -> type[AnyForm] | None:
        """The form that a type or kind names."""
        if isinstance(given, str) and given in forms:
            return forms[given]
        self._add(where, one_of(f"{shown(where)} is {given!r}", str(given), sorted(forms)))
        return None
