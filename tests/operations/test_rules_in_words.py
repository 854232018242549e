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


GROUPED = """\
mlapp: app
nodes:
  - {id: predict, type: auxiliary}
alerts:
  - {name: crashes, type: event, event: crash, window: 10m, above: 2, by: [node, agent]}
  - {name: few sales, type: kpi, kpi: sales, aggregate: sum, window: 1d, by: [shop], below: 100}
"""


def test_rules_about_events_and_kpis_name_them_with_their_windows_and_groups():
    definition = to_record(
        parse_definition(GROUPED, "f"), GROUPED, version=1, applied_by="me", event_time_ms=0
    )
    crashes, sales = (dict(each.lines) for each in rules_in_words(definition))
    assert (crashes["watches"], crashes["condition"]) == ("events of type 'crash' of every node", "above 2")
    assert crashes["together"] == "counted over the last 10m"
    assert crashes["apart"] == "by node, agent: each group is judged by itself"
    assert sales["watches"] == "KPI 'sales' of every node"
    assert sales["together"] == "sum over windows of 1d"
    assert sales["apart"] == "by shop: each group is judged by itself"
