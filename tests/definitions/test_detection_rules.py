"""What the rules ``rate_of_change``, ``z_score`` and ``change_point`` refuse, and what they take by default."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parallelm.definitions import DefinitionError, parse_definition, to_record


def definition(rule: str, defaults: str = "{}") -> str:
    return f"mlapp: x\nnodes: [{{id: a, type: auxiliary}}]\nalert_defaults: {defaults}\nalerts:\n  - {{name: r, statistic: s, {rule}}}\n"


def mistakes(rule: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(definition(rule), "f")
    return [problem.message for problem in caught.value.problems]


def parameters(rule: str) -> dict[str, Any]:
    text = definition(rule)
    record = to_record(parse_definition(text, "f"), text, version=1, applied_by="me", event_time_ms=0)
    found: dict[str, Any] = json.loads(record.rules[0].parameters_json)
    return found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("type: rate_of_change, above: 1", ["alerts[0].over is missing"]),
        ("type: rate_of_change, over: 0, above: 1", ["alerts[0].over is 0: should be greater than 0"]),
        ("type: rate_of_change, over: 0s, above: 1", ["alerts[0].over is '0s': should be greater than 0"]),
        (
            "type: rate_of_change, over: -1h, above: 1",
            ["alerts[0].over is not valid: '-1h' is not a duration; write a number with its unit, as in 30s, 15m, 1h30m, 3d or 2w"],
        ),
        ("type: rate_of_change, over: 1h, per: 0, above: 1", ["alerts[0].per is 0: should be greater than 0"]),
        ("type: rate_of_change, over: 1h", ["a rate_of_change rule needs exactly one of 'above', 'below' and 'beyond'"]),
        (
            "type: rate_of_change, over: 1h, above: 1, below: 0",
            ["a rate_of_change rule needs exactly one of 'above', 'below' and 'beyond'"],
        ),
        ("type: rate_of_change, over: 1h, beyond: -1", ["beyond: -1 has no two sides; write a number above 0"]),
        ("type: rate_of_change, over: 1h, above: .inf", ["alerts[0].above must be a finite number"]),
        (
            "type: rate_of_change, over: 1h, above: 1, per: 1h, relative: true",
            ["'per' and 'relative' exclude each other: a change is per unit of time, or a share"],
        ),
        (
            "type: rate_of_change, over: 1h, above: 1, counter: true, relative: true",
            ["'relative' and 'counter' exclude each other: what a counter has counted depends on when it began"],
        ),
        (
            "type: rate_of_change, over: 1h, below: -1, counter: true",
            ["a counter does not fall: its change is never below -1"],
        ),
        (
            "type: rate_of_change, over: 30s, above: 1, aggregate: avg",
            ["over: 30s is shorter than the window: there is one value in 1m"],
        ),
        ("type: rate_of_change, over: 1h, above: 1, relative: 1", ["alerts[0].relative must be true or false"]),
        ("type: z_score, beyond: 3, max_gap: 0s", ["alerts[0].max_gap is '0s': should be greater than 0"]),
        ("type: z_score, beyond: 3, stale_after: 0", ["alerts[0].stale_after is 0: should be greater than 0"]),
        ("type: z_score", ["a z_score rule needs exactly one of 'above', 'below' and 'beyond'"]),
        ("type: z_score, above: 0", ["above: 0 is where half of all samples are; write a number above 0"]),
        ("type: z_score, below: 3", ["below: 3 is where half of all samples are; write a number below 0"]),
        ("type: z_score, beyond: 0", ["beyond: 0 has no two sides; write a number above 0"]),
        ("type: z_score, beyond: 3, samples: 4", ["alerts[0].samples is 4: should be greater than or equal to 5"]),
        ("type: z_score, beyond: 3, samples: 50.5", ["alerts[0].samples must be a whole number"]),
        (
            "type: z_score, beyond: 3, baseline: median, samples: 501",
            ["baseline: median stores its samples, at most 500; for more use baseline: ewma"],
        ),
        (
            "type: z_score, beyond: 3, samples: 10, min_samples: 11",
            ["min_samples: 11 are more than the baseline's 10 samples"],
        ),
        ("type: z_score, beyond: 3, min_spread: -1", ["alerts[0].min_spread is -1: should be greater than or equal to 0"]),
        (
            "type: z_score, beyond: 3, baseline: mode",
            ["alerts[0].baseline is 'mode'; there are: ewma, mean, median"],
        ),
        ("type: change_point, method: adwim", ["alerts[0].method is 'adwim'; did you mean 'adwin'?"]),
        ("type: change_point, method: cusum", ["alerts[0].method is 'cusum'; there are: adwin, page_hinkley"]),
        (
            "type: change_point, for: 5m",
            ["a change is a moment and does not last: a change_point rule has no 'for'; see 'settle_samples'"],
        ),
        (
            "type: change_point, method: page_hinkley",
            ["method: page_hinkley needs 'threshold': how far the deviations may sum up, in the statistic's unit"],
        ),
        (
            "type: change_point, method: page_hinkley, threshold: 0",
            ["alerts[0].threshold is 0: should be greater than 0"],
        ),
        ("type: change_point, threshold: 3", ["'threshold' is for method: page_hinkley; this rule's method is adwin"]),
        ("type: change_point, alpha: 0.9", ["'alpha' is for method: page_hinkley; this rule's method is adwin"]),
        (
            "type: change_point, method: page_hinkley, threshold: 3, check_every: 1",
            ["'check_every' is for method: adwin; this rule's method is page_hinkley"],
        ),
        (
            "type: change_point, delta: 1",
            ["delta: 1 is no probability of a false alarm; ADWIN needs one above 0 and below 1"],
        ),
        ("type: change_point, settle_samples: 0", ["alerts[0].settle_samples is 0: should be greater than or equal to 1"]),
        ("type: change_point, above: 3", ["unknown key 'above'; there are: "]),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_a_sentence(rule: str, expected: list[str]):
    found = mistakes(rule)
    assert len(found) == len(expected), found
    assert all(message.startswith(start) for message, start in zip(found, expected, strict=True)), found


def test_what_is_not_written_has_its_default():
    assert parameters("type: z_score, beyond: 3") == {
        "baseline": "ewma", "samples": 100, "min_samples": 30, "min_spread": 0.0, "side": "beyond", "threshold": 3.0,
    }  # fmt: skip
    assert parameters("type: z_score, below: -3, samples: 12")["min_samples"] == 12
    assert parameters("type: change_point") == {
        "method": "adwin", "direction": "either", "settle_samples": 30, "delta": 0.002, "min_samples": 10, "check_every": 32,
    }  # fmt: skip
    assert parameters("type: change_point, method: page_hinkley, threshold: 50") == {
        "method": "page_hinkley", "direction": "either", "settle_samples": 30, "delta": 0.005, "min_samples": 30,
        "threshold": 50.0, "alpha": 0.9999,
    }  # fmt: skip
    assert parameters("type: rate_of_change, over: 1h, below: 0") == {
        "over_ms": 3_600_000, "side": "below", "threshold": 0.0,
    }  # fmt: skip


def test_a_shared_for_is_not_for_changes_of_level():
    text = definition("type: change_point", "{for: 1h, severity: critical}")
    record = to_record(parse_definition(text, "f"), text, version=1, applied_by="me", event_time_ms=0)
    assert (record.rules[0].for_ms, record.rules[0].severity) == (0, "critical")


def test_nodes_that_a_silence_is_of_and_spans_of_no_time_are_refused_with_their_place():
    text = """\
mlapp: app
alert_defaults: {max_gap: 0s, stale_after: 0s}
nodes: [{id: predict, type: model_consumer}]
alerts:
  - {name: quiet, type: no_data, for: 10m, match: {node: predikt}}
  - {name: no count, type: no_data, for: 10m, statistic: count, match: {node: train}}
  - {name: rate, type: kpi, kpi: rate, above: 1, max_gap: 0s}
  - {name: worse, type: canary, node: predict, stale_after: 0s}
"""
    with pytest.raises(DefinitionError) as caught:
        parse_definition(text, "f")
    assert [(problem.line, problem.message) for problem in caught.value.problems] == [
        (2, "alert_defaults.max_gap is '0s': should be greater than 0"),
        (2, "alert_defaults.stale_after is '0s': should be greater than 0"),
        (5, "unknown node 'predikt'; did you mean 'predict'?"),
        (6, "unknown node 'train'; there are: predict"),
        (7, "alerts[2].max_gap is '0s': should be greater than 0"),
        (8, "alerts[3].stale_after is '0s': should be greater than 0"),
    ]
