"""Conditions on labels as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.definitions.matchers import Matcher, all_match, parse_matcher


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("severity=critical", Matcher("severity", "=", "critical")),
        (' severity != "" ', Matcher("severity", "!=", "")),
        ("node=~predict|train", Matcher("node", "=~", "predict|train")),
        (r'line=~"f\d+"', Matcher("line", "=~", r"f\d+")),
        ("line!~'a b'", Matcher("line", "!~", "a b")),
        ('name="a \\"b\\" = c"', Matcher("name", "=", 'a "b" = c')),
        ("a.b-c=x=y", Matcher("a.b-c", "=", "x=y")),
    ],
)
def test_a_matcher_is_read(text: str, expected: Matcher):
    assert parse_matcher(text) == expected
    assert parse_matcher(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("severity", "is not a matcher; write label=value"),
        ("=x", "is not a matcher"),
        ("a=~(", "is not a regular expression: missing"),
        ('a="x', "the quotes of"),
        ("a=" + "x" * 501, "longer than 500 characters"),
    ],
)
def test_what_is_not_a_matcher_is_refused_with_what_to_write(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        parse_matcher(text)


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("a=x", {"x"}),
        ("a!=x", {"", "xy"}),
        ("a=", {""}),
        ("a=~x", {"x"}),
        ("a=~x.*", {"x", "xy"}),
        ("a!~x", {"", "xy"}),
        ("a=~.*", {"", "x", "xy"}),
    ],
)
def test_a_regular_expression_is_for_the_whole_value_and_no_label_is_an_empty_one(
    text: str, matching: set[str]
):
    matcher = parse_matcher(text)
    assert {value for value in ("", "x", "xy") if matcher.matches({"a": value} if value else {})} == matching


def test_all_conditions_must_hold():
    both = [parse_matcher("a=x"), parse_matcher("b=y")]
    assert all_match(both, {"a": "x", "b": "y"})
    assert not all_match(both, {"a": "x"})


@given(st.text(max_size=50))
def test_any_value_survives_being_written(value: str):
    matcher = Matcher("a", "=", value)
    assert parse_matcher(str(matcher)) == matcher
