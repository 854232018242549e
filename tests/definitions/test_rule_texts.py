"""Texts with values in alert rules, and what the rules of a file share."""

from __future__ import annotations

import math

import pytest

from parallelm.definitions import DefinitionError, parse_definition
from parallelm.definitions.templates import render, template_mistake

FILE = """\
mlapp: app
nodes:
  - {{id: predict, type: auxiliary}}
alert_defaults:
{defaults}
alerts:
  - name: slow
    type: threshold
    statistic: latency
    above: 1
{rule}
"""


def record_of(defaults: str, rule: str):
    text = FILE.format(defaults=f"  {defaults}", rule=f"    {rule}")
    app = parse_definition(text, "f")
    return app.rules[0].to_record(app.policy)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ value:.2f }} ms on {{agent}}", "3.14 ms on host-1"),
        ("{{ value }} above {{ threshold:,.0f }}", "3.14159 above 1,000"),
        ("{{ value:.1% }} in {{ labels.region }}{{ labels.unknown }}", "314.2% in eu"),
        ("no values } here", "no values } here"),
    ],
)
def test_a_text_gets_its_values(text: str, expected: str):
    values = {"value": math.pi, "threshold": 1000.0, "agent": "host-1", "labels.region": "eu"}
    assert template_mistake(text) == ""
    assert render(text, values) == expected


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("{{ valu }}", "there is no value 'valu'"),
        ("{{ agent:.2f }}", "'agent' is a text"),
        ("{{ value:.2q }}", "'.2q' is not a format of a number"),
        ("{{ value:1000000000.2f }}", "'1000000000.2f' is not a format of a number"),
        ("{{ value:.999999f }}", "'.999999f' is not a format of a number"),
        ("{{ value", "a value is written as {{ value }}"),
        ("{{ value | upper }}", "a value is written as {{ value }}"),
    ],
)
def test_a_text_that_cannot_be_filled_in_is_refused(text: str, mistake: str):
    assert mistake in template_mistake(text)
    with pytest.raises(DefinitionError, match="is not a text with values"):
        record_of("severity: info", f"annotations: {{summary: '{text}'}}")


def test_rules_share_defaults_unless_they_say_otherwise():
    shared = (
        "{severity: critical, for: 5m, labels: {team: ml, tier: a}, runbook_url: 'https://r.example/all'}"
    )
    text = FILE.format(defaults="", rule="    labels: {tier: b}").replace(
        "alert_defaults:\n\n", f"alert_defaults: {shared}\n"
    )
    app = parse_definition(text, "f")
    rule = app.rules[0].to_record(app.policy)
    assert (rule.severity, rule.for_ms, rule.labels) == ("critical", 300_000, {"team": "ml", "tier": "b"})
    assert rule.annotations == {"runbook_url": "https://r.example/all"}


def test_a_rules_own_runbook_wins_however_it_is_written():
    rule = record_of(
        "runbook_url: 'https://r.example/all'", "annotations: {runbook_url: 'https://r.example/slow'}"
    )
    assert rule.annotations == {"runbook_url": "https://r.example/slow"}


def test_a_runbook_that_is_no_url_is_refused_in_its_own_words():
    with pytest.raises(
        DefinitionError, match=r"runbook_url is 'runbooks/slow': must begin with http:// or https://"
    ):
        record_of("severity: info", "runbook_url: runbooks/slow")
