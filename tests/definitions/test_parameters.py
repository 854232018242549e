"""An MLApp file as a template: values are chosen when it is applied, and the text that is stored gives the same again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.definitions import DefinitionError, parse_definition, running_of, to_record
from parallelm.definitions.parameters import with_values

FILE = """\
mlapp: churn-${parameters.region}
parameters:
  region: north   # short form
  depth: {type: integer, description: of each tree}
  rate:
    type: number
    default: 1.5
  fast:
    description: skips the search
    type: boolean
nodes:
  - id: train
    type: model_producer
    pipeline: "train --home $HOME --depth ${parameters.depth} $${parameters.depth}"
    parallelism: ${parameters.depth}
    retry: {limit: 1, backoff: "${parameters.rate}"}
    environment: {FAST: "fast=${parameters.fast}", RATE: "${parameters.rate} of it"}
"""


def mistakes(text: str, **values: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(with_values(text, "f", values), "f")
    return [f"{found.line}:{found.column}: {found.message}" for found in caught.value.problems]


def test_values_stand_for_themselves_alone_and_are_written_out_within_texts():
    text = with_values(FILE, "f", {"depth": "6", "rate": "2", "fast": "true"})
    record = to_record(parse_definition(text, "f"), text, version=1, applied_by="me", event_time_ms=0)
    assert record.mlapp_id == "churn-north"
    running = running_of(record.nodes[0])
    assert running is not None
    assert running.steps[0].command == "train --home $HOME --depth 6 ${parameters.depth}"
    assert (running.parallelism, running.retry.backoff) == (6, 2.0)
    assert running.environment == {"FAST": "fast=true", "RATE": "2.0 of it"}


def test_the_stored_text_differs_by_the_defaults_only():
    text = with_values(FILE, "f", {"region": "süd: 1", "depth": "6", "rate": "1e3", "fast": "false"})
    changed = {
        "  region: north   # short form": '  region: "süd: 1"   # short form',
        "  depth: {type: integer, description: of each tree}": "  depth: {default: 6, type: integer, description: of each tree}",
        "    default: 1.5": "    default: 1000.0",
        "    description: skips the search": "    default: false\n    description: skips the search",
    }  # fmt: skip
    assert text == "\n".join(changed.get(line, line) for line in FILE.splitlines()) + "\n"
    assert with_values(text, "f", {}) == text


def test_every_mistake_has_its_line():
    assert mistakes(FILE) == [
        "14:15: parameter 'depth' has no value: give it a default, or apply with --set depth=VALUE",
        "15:18: parameter 'depth' has no value: give it a default, or apply with --set depth=VALUE",
        "17:25: parameter 'fast' has no value: give it a default, or apply with --set fast=VALUE",
    ]
    assert mistakes(FILE, dept="6", rate="high", depth="6.5", fast="yes") == [
        "2:1: there is no parameter 'dept'; did you mean 'depth'?",
        "4:3: parameter 'depth' was given '6.5': must be a whole number",
        "5:3: parameter 'rate' was given 'high': must be a finite number",
        "8:3: parameter 'fast' was given 'yes': must be true or false",
    ]
    assert mistakes(
        "mlapp: x\nparameters:\n  a: {type: integer, default: high}\n  b: 1\n  c: '${parameters.b}'\n  d: {typ: text}\n"
        "  e: [1]\nnodes:\n  - {id: n, type: auxiliary, pipeline: x, parallelism: '${parameters.a}', environment:"
        " {X: '${parameters.bb}${parameters.c}', Y: '${parameters.d}'}}\n"
    ) == [
        "3:6: the default of parameter 'a' is 'high', and must be a whole number",
        "4:6: parameter 'b' is not used; a value refers to it as ${parameters.b}",
        "5:6: the default of parameter 'c' refers to a parameter: write its value",
        "6:7: unknown key 'typ'; did you mean 'type'?",
        "7:6: parameters.e must be a mapping of keys and values",
        "9:56: nodes[0].parallelism must be a whole number",
        "9:92: there is no parameter 'bb'; there are: a, b, c, d",
        "9:130: parameter 'd' has no value: give it a default, or apply with --set d=VALUE",
    ]  # fmt: skip


def test_a_default_that_stands_elsewhere_too_is_not_changed():
    text = "mlapp: x\nname: &n old\nparameters: {a: {default: *n}}\nnodes: [{id: n, type: auxiliary, pipeline: '${parameters.a}'}]\n"
    assert mistakes(text, a="new") == ["3:17: parameter 'a' cannot be given: write its default plainly"]


@given(
    st.text(
        alphabet=st.characters(
            exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff\uffff\ufffe"
        ),
        max_size=30,
    )
)
def test_any_text_can_be_given(value: str):  # fmt: skip
    text = with_values(
        "mlapp: x\nparameters: {a: {description: d}}\nnodes: [{id: n, type: auxiliary, pipeline: run, environment: {A: '<${parameters.a}>'}}]\n",
        "f",
        {"a": value},
    )
    assert parse_definition(text, "f").nodes[0].environment == {"A": f"<{value}>"}
