"""MLApp files: what is accepted, what is refused and where the mistake is shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.definitions import DefinitionError, next_version, parse_definition, to_record
from parallelm.definitions.durations import MAX_MS, format_duration, parse_duration

VALID = """\
mlapp: flight-delays
nodes:
  - {id: train, type: model_producer, schedule: "0 4 1 * *"}
  - id: predict
    type: model_consumer
    parents: [train]
    consumes: [train]
policy:
  health_threshold: 0.4
  accept_timeout: 1h30m
alerts:
  - name: drift
    type: health
    features: [temp, visib]
    for: 3d
    reason: The weather has left the training window.
  - name: late
    type: threshold
    statistic: share
    match: {carrier: UA}
    above: 0.5
    severity: critical
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(text, "f.yaml")
    return str(caught.value).splitlines()


def record(text: str, at_ms: int = 1):
    return to_record(parse_definition(text, "f.yaml"), text, version=0, applied_by="me", event_time_ms=at_ms)


def test_a_file_too_large_for_a_record_is_refused_before_it_is_read():
    assert mistakes(VALID + "# more\n" * 100_000) == [
        f"f.yaml:1:1: {len(VALID) + 700_000} bytes are too many; at most 400000"
    ]


def test_a_valid_file_becomes_the_record_that_the_processors_read():
    definition = record(VALID)
    assert definition.mlapp_id == definition.name == "flight-delays"
    assert [(node.node_id, node.type, tuple(node.consumes)) for node in definition.nodes] == [
        ("train", "model_producer", ()),
        ("predict", "model_consumer", ("train",)),
    ]
    assert definition.policy.accept_timeout_ms == 5_400_000
    assert definition.stage == "production"
    assert definition.policy.canary_threshold == -1
    drift, late = definition.rules
    assert drift.for_ms == 3 * 86_400_000
    assert drift.annotations == {"reason": "The weather has left the training window."}
    parameters = json.loads(drift.parameters_json)
    assert (parameters["measure"], parameters["features"]) == ("p_value", ["temp", "visib"])
    assert json.loads(late.parameters_json)["side"] == "above"
    assert (late.match_labels, late.severity) == ({"carrier": "UA"}, "critical")
    assert definition.source_yaml == VALID


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("type: model_consumer", "type: model_consumr", "5:11: nodes[1].type is 'model_consumr'; did you mean 'model_consumer'?"),
        ("parents: [train]", "parent: [train]", "6:5: unknown key 'parent'; did you mean 'parents'?"),
        ("parents: [train]", "parents: [trian]", "6:15: unknown node 'trian'; did you mean 'train'?"),
        ("consumes: [train]", "consumes: [predict]", "7:16: node 'predict' is of type model_consumer, which produces no models; producers: train"),
        ("for: 3d", "for: 3", "15:10: alerts[0].for is not valid: 3 is not a duration"),
        ("for: 3d", "for: 3 days", "15:10: alerts[0].for is not valid: '3 days' is not a duration"),
        ("above: 0.5", "above: high", "21:12: alerts[1].above must be a number"),
        ("above: 0.5", "above: .nan", "21:12: alerts[1].above must be a finite number"),
        ("above: 0.5", "above: 1\n    below: 0", "17:5: a threshold rule needs exactly one of 'above' and 'below'"),
        ("    above: 0.5\n", "", "17:5: a threshold rule needs exactly one of 'above' and 'below'"),
        ("type: health", "type: helth", "13:11: alerts[0].type is 'helth'; did you mean 'health'?"),
        ("features: [temp, visib]", "features: some", "14:15: alerts[0].features is 'some'; there are: all"),
        ("features: [temp, visib]", "features: [7]", "14:16: alerts[0].features[0] must be text"),
        ("for: 3d", "measure: p_value\n    threshold: 0.4", "16:16: threshold 0.4 of measure p_value is a false-discovery rate"),
        ("for: 3d", "measure: p_value\n    threshold: 0", "16:16: threshold 0 of measure p_value is a false-discovery rate"),
        ("for: 3d", "threshold: -1", "15:16: alerts[0].threshold is -1: should be greater than or equal to 0"),
        ("for: 3d", "measure: emd", "15:14: alerts[0].measure is 'emd'; there are: p_value, psi, js, ks, score"),
        ("for: 3d", "measure: score\n    threshold: 1.1", "16:16: threshold 1.1 of measure score is not from 0 to 1"),
        ("for: 3d", "measure: psi\n    min_effect: 0.1", "16:17: min_effect is of measure p_value"),
        ("for: 3d", "false_discovery_rate: 0.1", "15:27: false_discovery_rate is of the measures psi, js, ks"),
        ("for: 3d", "min_rows: 0", "15:15: alerts[0].min_rows is 0: should be greater than or equal to 1"),
        ("name: late", "name: drift", "17:11: name 'drift' is already used in alerts"),
        ("name: late", "name: late\n    name: later", "18:5: 'name' is given twice; the first one is in line 17"),
        ("health_threshold: 0.4", "health_threshold: 4", "9:21: policy.health_threshold is 4: should be less than or equal to 1"),
        ("mlapp: flight-delays", "mlapp: 7", "1:8: mlapp must be text; put it in quotes"),
        ("mlapp: flight-delays", "mlapp: a/b", "1:8: mlapp may contain letters"),
        ("mlapp: flight-delays", "name: x", "1:1: mlapp is missing"),
        ("mlapp: flight-delays", "mlapp: [", "3:3: not valid YAML"),
        ("mlapp: flight-delays", "mlapp: !!python/object:os.system {}", "1:8: "),
        ("parents: [train]", "parents: [predict]", "6:14: node 'predict' follows itself"),
        ("alerts:", "alerts: 5\nx:", "11:9: alerts must be a list"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_place_and_what_is_allowed(old: str, new: str, expected: str):
    assert VALID.count(old) >= 1
    found = mistakes(VALID.replace(old, new, 1))
    assert any(line.startswith(f"f.yaml:{expected}") for line in found), found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", {"measure": "p_value", "threshold": 0.001, "min_effect": 0.01, "min_rows": 30}),
        ("threshold: 0.05, min_rows: 5", {"measure": "score", "threshold": 0.05, "min_rows": 5}),
        (
            "measure: p_value, threshold: 0.05, min_rows: 5",
            {"measure": "p_value", "threshold": 0.05, "min_effect": 0.01, "min_rows": 5},
        ),
        ("measure: score", {"measure": "score", "threshold": 0.4, "min_rows": 30}),
        (
            "measure: psi",
            {"measure": "psi", "threshold": 0.25, "false_discovery_rate": 0.001, "min_rows": 30},
        ),
        (
            "measure: ks, threshold: 0.1, false_discovery_rate: 1",
            {"measure": "ks", "threshold": 0.1, "false_discovery_rate": 1, "min_rows": 30},
        ),
    ],
)  # fmt: skip
def test_a_health_rule_has_the_defaults_of_its_measure(lines: str, expected: dict[str, object]):
    features = "    features: [temp, visib]\n"
    more = "".join(f"    {line}\n" for line in lines.split(", ") if line)
    rule, _ = record(VALID.replace(features, more)).rules
    assert json.loads(rule.parameters_json) == expected | {"features": "all"}


def test_all_mistakes_are_reported_at_once_in_the_files_order():
    found = mistakes(VALID.replace("model_consumer", "x").replace("3d", "3").replace("mlapp:", "mlap:"))
    lines = [int(line.split(":")[1]) for line in found]
    assert lines == sorted(lines)
    assert {1, 5, 15} <= set(lines)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "- a\n", "a\n", "a: 1\n---\nb: 2\n", "\x00", "&a [*a]", "? [x]\n: 1"]
)
def test_what_is_not_a_mapping_is_refused(text: str):
    assert mistakes(text)


def test_deep_nesting_is_refused():
    assert mistakes("mlapp: " + "[" * 500 + "]" * 500)


def test_aliases_that_multiply_are_refused_before_they_fill_the_memory():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "more than 100000 values" in mistakes("\n".join(lines))[-1]


@given(st.text())
def test_any_text_that_is_not_a_definition_is_refused_with_a_place(text: str):
    with pytest.raises(DefinitionError) as caught:
        parse_definition(text, "f")
    assert all(problem.line >= 1 and problem.column >= 1 for problem in caught.value.problems)


def test_a_version_is_written_only_when_more_than_comments_changed():
    first = next_version(None, record(VALID))
    assert first is not None
    assert first.version == 1
    assert next_version(first, record("# a comment\n" + VALID, at_ms=2)) is None
    second = next_version(first, record(VALID.replace("0.5", "0.6")))
    assert second is not None
    assert second.version == 2


@given(st.integers(min_value=0, max_value=MAX_MS))
def test_durations_are_read_as_they_are_shown(duration_ms: int):
    assert parse_duration(format_duration(duration_ms)) == duration_ms


@pytest.mark.parametrize("text", ["3", "d", "3 d", "-3d", "3x", "1.5h", "", True, None, 1.5, [], "11000d"])
def test_what_is_not_a_duration_is_refused(text: object):
    with pytest.raises(ValueError, match=r"duration|ten years"):
        parse_duration(text)
