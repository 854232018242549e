"""What ``mcenter rules validate`` says of a rule that watches no statistic."""

from __future__ import annotations

from parallelm.definitions import parse_definition, to_record
from parallelm.operations.rules_in_words import rules_in_words

TEXT = """\
mlapp: app
nodes:
  - {id: predict, type: auxiliary}
alerts:
  - {name: quiet, type: no_data, node: predict, for: 10m}
"""


def test_a_rule_about_silence_speaks_of_reports_and_not_of_a_condition():
    definition = to_record(parse_definition(TEXT, "f"), TEXT, version=1, applied_by="me", event_time_ms=0)
    (found,) = rules_in_words(definition)
    lines = dict(found.lines)
    assert lines["watches"] == "all reports of node 'predict'"
    assert lines["fires"] == "when nothing has come for 10m"
    assert lines["ends"] == "with the next report"
    assert "condition" not in lines
