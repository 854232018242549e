"""Policies as they are written: what is accepted, what the processors read, and which mistakes are shown where."""

from __future__ import annotations

import pytest

from parallelm.definitions import DefinitionError, parse_definition, to_record
from parallelm.schemas.records import ModelPolicy
from parallelm.stream_processors.model_policy.settings import AlertMatch, Gate, Window, policy_settings
from parallelm.stream_processors.model_policy.watched import watched_metrics

FILE = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer}
  - {id: small, type: model_consumer}
  - {id: careful, type: model_consumer, policy: {model_policy: manual, review_timeout: 7d}}
policy:
  model_policy: canary
  canary_threshold: 0.2
  canary: {node: small, metrics: [{metric: latency, direction: increase}], time_limit: 1d}
  accept: all
  accept_timeout: 1h
  cool_down: 6h
  windows: [{cron: "0 8 * * 1-5", duration: 9h}]
  gates:
    before: [{metric: accuracy, success_condition: ">= 0.9", match: {set: test}}]
    after: [{metric: errors, success_condition: "<= 0.1", interval: 10m, count: 3}]
  rollback_on: [{rule: drift}, {severity: critical}]
alerts:
  - {name: drift, type: threshold, statistic: x, above: 1}
"""


def test_a_policy_and_a_nodes_own_become_what_the_processors_read():
    record = to_record(parse_definition(FILE, "f"), FILE, version=1, applied_by="me", event_time_ms=1)
    settings = policy_settings(record.policy)
    assert settings.kind is ModelPolicy.CANARY
    assert (settings.accept, settings.cool_down_ms, settings.accept_timeout_ms) == (
        "all",
        21_600_000,
        3_600_000,
    )
    assert settings.windows == (Window("0 8 * * 1-5", 32_400_000),)
    assert settings.before == (Gate("accuracy", ">= 0.9", {"set": "test"}),)
    assert (settings.after[0].interval_ms, settings.after[0].count) == (600_000, 3)
    assert settings.rollback_on == (AlertMatch("drift", ""), AlertMatch("", "critical"))
    assert (settings.canary.node, settings.canary.time_limit_ms) == ("small", 86_400_000)
    assert settings.canary.metrics[0].direction == "increase"
    assert settings.compares_predictions
    own = policy_settings(record.node_policies["careful"])
    assert (own.kind, own.review_timeout_ms, own.before) == (ModelPolicy.MANUAL, 7 * 86_400_000, ())
    assert set(record.node_policies) == {"careful"}


def test_what_policies_need_is_watched_and_nothing_else():
    record = to_record(parse_definition(FILE, "f"), FILE, version=1, applied_by="me", event_time_ms=1)
    watched = watched_metrics(record)
    assert dict(watched.metrics) == {name: (name,) for name in ("accuracy", "errors", "latency")}
    assert watched.distributions == {"PredictionHistogram"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("node: small", "node: smal", "10:18: unknown node 'smal'; nodes that consume models: predict, small, careful"),
        ("node: small", "node: train", "10:18: node 'train' is of type model_producer, which consumes no models"),
        ("node: small", "node: small, share: 0.2", "10:11: a canary needs exactly one of 'node' and 'share'"),
        ("node: small, ", "", "10:11: a canary needs exactly one of 'node' and 'share'"),
        ("node: small", "share: 0.7", "10:19: policy.canary.share is 0.7: should be less than or equal to 0.5"),
        ("  canary_threshold: 0.2\n  canary: {node: small, metrics: [{metric: latency, direction: increase}]", "  canary: {node: small", "9:11: a canary compares nothing"),
        ("direction: increase", "direction: up", "10:64: policy.canary.metrics[0].direction is 'up'; there are: increase, decrease, either"),
        ("time_limit: 1d", "marginal_score: 99", "10:11: marginal_score 99 is above pass_score 95.0"),
        ("  canary: {node", "  canery: {node", "10:3: unknown key 'canery'; did you mean 'canary'?"),
        ("duration: 9h", "duration: 0", "14:13: policy.windows[0] is not valid: a window needs a duration"),
        ('cron: "0 8 * * 1-5"', 'cron: ""', "14:14: policy.windows[0].cron is not valid: '' has 0 fields, a cron expression has five"),
        ('cron: "0 8 * * 1-5"', 'cron: "0 25 * * *"', "14:20: policy.windows[0].cron is not valid: '25' is not a hour"),
        ('">= 0.9"', '"0.9"', "16:52: policy.gates.before[0].success_condition is not valid: '0.9' is not a condition"),
        ("count: 3", "count: 0", "17:81: policy.gates.after[0].count is 0: should be greater than or equal to 1"),
        ("{rule: drift}", "{rule: drfit}", "18:24: unknown alert rule 'drfit'; did you mean 'drift'?"),
        ("  accept_timeout: 1h\n", "", "11:11: accept: all needs an accept_timeout: an agent that is gone never answers"),
        ("{rule: drift}", "{}", "18:17: policy.rollback_on[0] is not valid: name a rule, a severity, or both"),
        ("review_timeout: 7d", "review_timeout: 7d, canary: {}", "6:92: unknown key 'canary'"),
        ("{id: train, type: model_producer}", "{id: train, type: model_producer, policy: {}}", "3:47: node 'train' is of type model_producer, which consumes no models and needs no policy"),
        ("{model_policy: manual, review_timeout: 7d}", "{model_policy: canary, canary_threshold: 0.1, canary: {node: small}}", "6:110: node 'small' is the canary of node 'predict' already; 'careful' needs one of its own"),
        ("{model_policy: manual, review_timeout: 7d}", "{model_policy: canary, canary_threshold: 0.1, canary: {node: careful}}", "6:110: node 'careful' cannot be its own canary"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_place_and_what_is_allowed(old: str, new: str, expected: str):
    assert old in FILE
    with pytest.raises(DefinitionError) as caught:
        parse_definition(FILE.replace(old, new, 1), "f")
    found = str(caught.value).splitlines()
    assert any(line.startswith(f"f:{expected}") for line in found), found
