"""JSON that somebody else has written."""

from __future__ import annotations

import pytest

from parallelm.operations.json_values import plain, read_json


@pytest.mark.parametrize("depth", [101, 400, 2_000, 100_000])
@pytest.mark.parametrize(
    ("opened", "inside", "closed"), [("[", "", "]"), ('{"a":', "1", "}"), ("[", "1", "]")]
)
def test_what_is_nested_too_deeply_is_no_value(depth: int, opened: str, inside: str, closed: str):
    with pytest.raises(ValueError, match="nested deeper than 100 levels"):
        read_json(opened * depth + inside + closed * depth)


def test_what_is_nested_less_is_read_and_can_be_shown():
    text = "[" * 99 + '{"a": 1}' + "]" * 99
    assert str(plain(read_json(text))) == text.replace('"', "'")
    assert read_json("{}") == {}
    assert read_json("1") == 1
    with pytest.raises(ValueError, match="Expecting value"):
        read_json("")
