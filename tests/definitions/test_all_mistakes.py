"""Every mistake of an MLApp file is reported in one go, with its place, and each sentence is true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.definitions import DefinitionError, parse_definition, to_record
from parallelm.definitions.policies import POLICY_FORMS
from parallelm.definitions.rules import RULE_FORMS
from parallelm.definitions.running import ScheduleForm


def mistakes(text: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(text, "f")
    return [line.removeprefix("f:") for line in str(caught.value).splitlines()]


def test_mistakes_of_every_kind_in_one_file_are_reported_together():
    text = """\
mlapp: shop
descripton: typo
nodes:
  - {id: a, type: model_producer, parents: [b], schedule: "every day"}
  - {id: b, type: model_producer, parents: [a, nowhere]}
  - {id: c, type: model_consumer, parents: [d], consumes: [c, nobody]}
  - {id: d, type: auxiliary, parents: [c], consumes: [a]}
  - {id: a, type: sensor}
  - just text
policy: {model_policy: sometimes, health_threshold: 7}
alerts:
  - {name: x, type: threshold, statistic: s, above: high, node: e}
  - {name: x, type: threshold, statistic: s, above: 1, below: 0, for: 3}
  - {name: y, type: health, features: [temp, temp], labels: {a: 1}}
  - {name: z, type: nonsense}
  - {name: w}
"""
    assert mistakes(text) == [
        "2:1: unknown key 'descripton'; did you mean 'description'?",
        "4:44: nodes 'a' and 'b' follow each other in a circle",
        "4:59: nodes[0].schedule is not valid: 'every day' has 2 fields, a cron expression has five (minute, hour, day of month, month, day of week)",
        "5:48: unknown node 'nowhere'; there are: a, b, c, d",
        "6:44: nodes 'c' and 'd' follow each other in a circle",
        "6:60: node 'c' is of type model_consumer, which produces no models; producers: b",
        "6:63: unknown node 'nobody'; there are: a, b, c, d",
        "7:54: nodes[3] is of type auxiliary, which consumes no models",
        "8:10: id 'a' is already used in nodes",
        "8:19: nodes[4].type is 'sensor'; there are: model_producer, model_consumer, model_producer_consumer, pipeline_comparator, auxiliary",
        "9:5: nodes[5] must be a mapping of keys and values",
        f"10:24: policy.model_policy is 'sometimes'; there are: {', '.join(sorted(POLICY_FORMS))}",
        "10:53: policy.health_threshold is 7: should be less than or equal to 1",
        "12:53: alerts[0].above must be a number",
        "12:65: unknown node 'e'; there are: a, b, c, d, a",
        "13:5: a threshold rule needs exactly one of 'above' and 'below'",
        "13:12: name 'x' is already used in alerts",
        "13:71: alerts[1].for is not valid: 3 is not a duration; write a number with its unit, as in 30s, 15m, 1h30m, 3d or 2w",
        "14:46: feature 'temp' is listed twice",
        "14:65: alerts[2].labels.a must be text; put it in quotes if it looks like a number, true, false or null",
        f"15:21: alerts[3].type is 'nonsense'; there are: {', '.join(sorted(RULE_FORMS))}",
        f"16:5: alerts[4] has no type; there are: {', '.join(sorted(RULE_FORMS))}",
    ]


def test_a_key_given_twice_hides_no_other_mistake():
    text = "mlapp: a\nmlapp: b\nnodes:\n  - {id: n, type: x}\n  - {id: m, id: k, type: auxiliary, parents: [q]}\n"
    found = mistakes(text)
    assert [line.split(" ")[0] for line in found] == ["2:1:", "4:19:", "5:13:", "5:47:"]


def nodes_of(parents: dict[str, list[str]]) -> str:
    lines = [
        f"  - {{id: {name}, type: auxiliary, parents: [{', '.join(above)}]}}"
        for name, above in parents.items()
    ]
    return "\n".join(["mlapp: x", "nodes:", *lines])


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ["nodes 'b' and 'c' follow each other in a circle"]),
        ({"a": ["a"], "b": []}, ["node 'a' follows itself"]),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, ["nodes 'a', 'b' and 'c' follow each other in a circle"]),
        (
            {"a": ["b"], "b": ["a"], "c": ["d", "a"], "d": ["c"]},
            ["nodes 'a' and 'b' follow each other in a circle", "nodes 'c' and 'd' follow each other in a circle"],
        ),
    ],
)  # fmt: skip
def test_each_circle_is_named_with_the_nodes_that_are_in_it(
    parents: dict[str, list[str]], expected: list[str]
):
    assert [line.partition(": ")[2] for line in mistakes(nodes_of(parents))] == expected


@given(st.dictionaries(st.sampled_from("abcdefg"), st.sets(st.sampled_from("abcdefg")), min_size=1))
def test_circles_are_those_that_reachability_gives(drawn: dict[str, set[str]]):
    parents = {name: sorted(above & drawn.keys()) for name, above in drawn.items()}
    reach = {name: set(above) for name, above in parents.items()}
    for _ in parents:  # closure
        for above in reach.values():
            above.update(*[reach[each] for each in above])
    in_circles = {name for name in parents if name in reach[name]}
    groups = {
        frozenset(other for other in parents if other in reach[name] and name in reach[other])
        for name in in_circles
    }
    try:
        parse_definition(nodes_of(parents), "f")
        found: list[str] = []
    except DefinitionError as error:
        found = [problem.message for problem in error.problems]
    assert len(found) == len(groups)
    for message in found:
        assert frozenset(message.split("'")[1::2]) in groups


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001), ("1E5", 100_000.0), ("010", 10.0), ("-007", -7.0), (".5", 0.5), ("5.", 5.0), ("+1", 1.0),
        ("0o17", 15.0), ("0x1F", 31.0), ("!!float 3", 3.0), ("12", 12.0),
    ],
)  # fmt: skip
def test_numbers_are_what_people_mean_by_them(written: str, value: float):
    text = f"mlapp: x\nnodes: [{{id: a, type: auxiliary}}]\nalerts: [{{name: r, type: threshold, statistic: s, above: {written}}}]"
    record = parse_definition(text, "f").rules[0]
    assert record.parameters(parse_definition(text, "f").policy)["threshold"] == value


@pytest.mark.parametrize(
    "written", ["no", "yes", "on", "off", "2013-01-01", "12:30:00", "1_000", "0b11", "1:30", "=", "<<"]
)
def test_words_stay_text(written: str):
    text = f"mlapp: x\nname: {written}\nnodes: [{{id: a, type: auxiliary}}]"
    assert parse_definition(text, "f").name == written


@pytest.mark.parametrize("written", ["7", "1.5", "true", "1e3", "0x10", ".inf"])
def test_what_is_a_number_or_a_truth_value_must_be_quoted_where_text_is_wanted(written: str):
    text = f"mlapp: x\nname: {written}\nnodes: [{{id: a, type: auxiliary}}]"
    assert "2:7: name must be text; put it in quotes" in mistakes(text)[0]
    assert parse_definition(text.replace(written, f'"{written}"'), "f").name == written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%YAML 1.1\n---\nmlapp: x\nnodes: [{id: a, type: auxiliary}]", "1:1: the file asks for YAML 1.1"),
        ("mlapp: !!binary eA==\nnodes: [{id: a, type: auxiliary}]", "1:8: the tag tag:yaml.org,2002:binary is not supported"),
        ("mlapp: !secret x\nnodes: [{id: a, type: auxiliary}]", "1:8: the tag !secret is not supported"),
        (f"mlapp: x\nname: {'9' * 5000}\nnodes: [{{id: a, type: auxiliary}}]", "2:7: "),
        ("mlapp: x\nnodes: []", "2:8: nodes must not be empty"),
        ("mlapp: x\nnodes:\n", "2:1: nodes must be a list"),
        ("mlapp: x\n\tname: y", "2:1: not valid YAML"),
        ("mlapp: x\nnodes: &n [{id: a, type: auxiliary}]\nalerts: &n []", "1:1: found duplicate anchor 'n'"),
    ],
)  # fmt: skip
def test_what_yaml_allows_and_a_definition_does_not(text: str, expected: str):
    assert mistakes(text)[0].startswith(expected), mistakes(text)


@pytest.mark.parametrize(
    "schedule",
    [
        "* * * * *",
        "0 6 1 * *",
        "*/15 0-6,22 * JAN-MAR mon-fri",
        "0 12 L * *",
        "0 0 29 2 *",
        "0 4 * * 5#2",
        "",
    ],
)
def test_cron_expressions_are_accepted(schedule: str):
    text = f'mlapp: x\nnodes: [{{id: a, type: auxiliary, schedule: "{schedule}"}}]'
    record = to_record(parse_definition(text, "f"), text, version=1, applied_by="me", event_time_ms=0)
    assert record.nodes[0].schedule == schedule


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("hourly", "has 1 fields"),
        ("@daily", "has 1 fields"),
        ("61 * * * *", "'61' is not a minute"),
        ("0 25 * * *", "'25' is not a hour"),
        ("0 0 31 2 *", "never comes"),
        ("0 0 30 2 mon", None),
        ("0 0 12 * * ?", "a Quartz expression is written without its fields for seconds"),
        ("0 12 ? * MON", "'?' is not a day of month of a cron expression; write * for ?"),
        ("0 12 * * funday", "'funday' is not a day of week"),
        ("5-1 * * * *", "'5-1' is not a minute"),
        ("*/0 * * * *", "'*/0' is not a minute"),
    ],
)
def test_what_is_not_a_cron_expression_is_refused_by_field(schedule: str, expected: str | None):
    text = f'mlapp: x\nnodes: [{{id: a, type: auxiliary, schedule: "{schedule}"}}]'
    if expected is None:  # either day may match: Mondays come
        assert parse_definition(text, "f").nodes[0].schedule == ScheduleForm(cron=schedule)
    else:
        assert expected in mistakes(text)[0]


@given(st.lists(st.text(alphabet="0123456789*/,-?LW#abMONFRI ", max_size=8), max_size=7))
def test_any_text_is_a_schedule_or_refused_as_one(parts: list[str]):
    schedule = " ".join(parts)
    text = f'mlapp: x\nnodes: [{{id: a, type: auxiliary, schedule: "{schedule}"}}]'
    try:
        parse_definition(text, "f")
        problems = []
    except DefinitionError as error:
        problems = error.problems
    assert all("schedule" in problem.message for problem in problems)


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_names_by_which_components_find_a_node_are_unique(names: tuple[str, str]):
    text = f"mlapp: x\nnodes: [{{id: {names[0]}, type: auxiliary}}, {{id: {names[1]}, name: {names[0]}, type: auxiliary}}]"
    assert f"name {names[0]!r} is already used in nodes" in mistakes(text)[0]


def rule_with(keys: str) -> str:
    return f"mlapp: x\nnodes:\n  - {{id: a, type: auxiliary}}\nalerts:\n  - {{name: r, type: {keys}}}\n"


def policy_with(keys: str) -> str:
    return f"mlapp: x\nnodes:\n  - {{id: a, type: model_consumer}}\npolicy: {{{keys}}}\n"


def gate_with(keys: str) -> str:
    return policy_with(f"gates: {{before: [{{metric: m, success_condition: '> 0', {keys}}}]}}")


def canary_with(keys: str) -> str:
    return policy_with(f"model_policy: canary, canary: {{share: 0.5, {keys}}}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            rule_with("no_data"),
            "alerts[0] is not valid: a no_data rule needs 'for': how long the silence lasts before the alert fires, as in for: 10m",
        ),
        (
            rule_with("threshold, statistic: s, above: 1, aggregate: quantile"),
            "aggregate: quantile needs 'quantile': which one, from 0 to 1, as in quantile: 0.99",
        ),
        (
            rule_with("threshold, statistic: s, above: 1, aggregate: sum, quantile: 0.5"),
            "'quantile' is for aggregate: quantile; this rule's is sum",
        ),
        (
            rule_with("threshold, statistic: s, above: 1, aggregate: median"),
            "alerts[0].aggregate is 'median'; there are: sum, avg, min, max, count, quantile",
        ),
        (
            rule_with("rate_of_change, statistic: s, above: 1, over: 1h, relative: maybe"),
            "alerts[0].relative must be true or false",
        ),
        (
            rule_with("threshold, statistic: s, above: 1, labels: {alertname: y}"),
            "label 'alertname' says which rule it is ('name'), and cannot be set; take another name",
        ),
        (
            rule_with("threshold, statistic: s, above: 1") + "alert_defaults: {labels: {mlapp: y}}\n",
            "alert_defaults.labels is not valid: label 'mlapp' says which MLApp it is ('mlapp'), and cannot be set; take another name",
        ),
        (
            rule_with("threshold, statistic: s, above: 1, reason: '{{ labels. }}'"),
            "'{{ labels. }}' is not a text with values: a value is written as {{ value }}, {{ value:.2f }} or {{ labels.region }}",
        ),
        (
            gate_with("aggregate: max"),
            "policy.gates.before[0] is not valid: 'aggregate' needs 'interval', as in 10m: without one each sample is a measurement",
        ),
        (
            gate_with("min_samples: 5"),
            "policy.gates.before[0] is not valid: 'min_samples' needs 'interval', as in 10m: without one each sample is a measurement",
        ),
        (
            gate_with("must_have_data: false"),
            "policy.gates.before[0] is not valid: must_have_data: false needs 'wait': how long to wait for data, as in 10m",
        ),
        (
            canary_with("metrics: [{metric: m}, {metric: m}]"),
            "metric 'm' is listed twice; give one of them a 'match'",
        ),
        (
            canary_with("metrics: [{metric: m}], duration: 2d, time_limit: 1d"),
            "duration 2d is not shorter than time_limit 1d: no canary could pass",
        ),
        (
            canary_with("metrics: [{metric: m}], at_time_limit: promote"),
            "'at_time_limit' needs 'time_limit', as in 1d",
        ),
    ],
)
def test_what_could_have_no_effect_or_no_meaning_is_refused_with_what_to_write(text: str, expected: str):
    assert [found.split(": ", 1)[1] for found in mistakes(text)] == [expected]
