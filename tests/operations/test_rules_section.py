"""The section of alert rules of an MLApp's file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.operations.rules_section import rules_section

HEAD = "mlapp: a\nnodes:\n  - {id: n, type: model_consumer}\n"
ALERTS = "alerts:\n  - {name: slow, type: threshold, statistic: s, above: 1}\n"
TAIL = "# When models are deployed\npolicy: {model_policy: manual}\n"


@pytest.mark.parametrize(
    ("source", "section"),
    [
        (HEAD + ALERTS, ALERTS),
        (HEAD + ALERTS + TAIL, ALERTS),
        (ALERTS + HEAD, ALERTS),
        (HEAD + "alerts:\n- name: slow\n  # a comment\n\n- name: b\n" + TAIL, "alerts:\n- name: slow\n  # a comment\n\n- name: b\n"),
        (HEAD + "alerts: [\n  {name: slow}\n]\n" + TAIL, "alerts: [\n  {name: slow}\n]\n"),
        (HEAD + "alert_defaults: {severity: info}\n" + ALERTS, ALERTS),
        (HEAD, "alerts: []\n"),
        ("mlapp: a", "alerts: []\n"),
    ],
)  # fmt: skip
def test_the_section_is_found_and_everything_else_stays(source: str, section: str):
    found = rules_section(source)
    assert found.text == section
    assert found.before + found.after in {source.replace(section, ""), f"{source}\n"}


@given(st.lists(st.sampled_from([HEAD, ALERTS, TAIL, "\n", "alerts :\n", "# alerts:\n"]), max_size=6))
def test_what_was_not_edited_is_the_same(parts: list[str]):
    source = "".join(parts)
    found = rules_section(source)
    if "alerts" in source.replace("# alerts", ""):
        assert found.replaced(found.text) == source


def test_a_line_of_the_file_is_a_line_of_the_section():
    found = rules_section(HEAD + ALERTS + TAIL)
    assert [found.line_in_section(line, found.text) for line in (3, 4, 5, 6)] == [None, 1, 2, None]
    edited = "alerts:\n  - {name: a}\n  - {name: b}"
    assert found.replaced(edited) == HEAD + edited + "\n" + TAIL
    assert found.line_in_section(6, edited) == 3
