"""The outcome table of docs/model-policy.md: each of its lines is played, and leads to what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .policies import POLICIES
from .scenario import Scenario, summary

PAGE = Path(__file__).parents[3] / "docs" / "model-policy.md"
LINE = re.compile(
    r"^\| (?P<what>[^|]+) \| (?P<policy>\w+) \| `(?P<steps>[^`]+)` \| (?:`(?P<leads>[^`]+)` )?\|$",
    re.MULTILINE,
)
TABLE = PAGE.read_text().partition("## What happens when")[2]
LINES = [
    (found["what"], found["policy"], found["steps"], found["leads"] or "") for found in LINE.finditer(TABLE)
]


def test_every_line_of_the_table_is_read_and_every_policy_used():
    assert len(LINES) == len([line for line in TABLE.splitlines() if line.startswith("| ")]) - 1
    assert {policy for _, policy, _, _ in LINES} == set(POLICIES)


@pytest.mark.parametrize(
    ("policy", "steps", "leads"), [line[1:] for line in LINES], ids=[line[0] for line in LINES]
)
def test_what_happens_leads_to_what_the_table_says(policy: str, steps: str, leads: str):
    scenario = Scenario(POLICIES)
    scenario.play(f"apply {policy}")
    assert summary(scenario.play(steps)).strip() == leads
    for sent in scenario.sent:
        assert sent.reason
        assert sent.decided_at_ms
    ids = [sent.transition_id for sent in scenario.sent]
    assert len(set(ids)) == len(ids)
