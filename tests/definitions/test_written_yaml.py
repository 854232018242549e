"""What is written as YAML is read again as it was."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from parallelm.definitions.marked_yaml import read_marked
from parallelm.definitions.written_yaml import yaml_text

_texts = st.text(st.characters(codec="utf-8", exclude_characters="\x7f\ufeff\ufffe\uffff", exclude_categories=["Cs", "Cc", "Cn", "Co"]), max_size=20)  # fmt: skip
_scalars = (
    _texts
    | st.integers(-(10**9), 10**9)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_texts, _values, min_size=1, max_size=5))
@example(
    {
        "a": "no",
        "b": "010",
        "c": "1e3",
        "d": "true",
        "e": "",
        "f": "a: b",
        "g": "# x",
        "h": ["x" * 120, {"k": "v" * 120, "l": []}],
    }
)
def test_any_value_comes_back(value: dict[str, object]):
    assert read_marked(yaml_text(value), "f").value == value


def test_it_looks_as_people_write_it():
    assert (
        yaml_text(
            {
                "mlapp": "churn",
                "nodes": [
                    {"id": "train", "type": "model_producer", "schedule": "0 3 * * *", "steps": [{"component": "load", "arguments": {"rows": 10, "path": "/data/in"}}, {"component": "fit"}]},
                    {"id": "x"},
                ],
                "policy": {"model_policy": "manual"},
            }
        )
        == """\
mlapp: churn
nodes:
  - id: train
    type: model_producer
    schedule: "0 3 * * *"
    steps:
      - {component: load, arguments: {rows: 10, path: /data/in}}
      - {component: fit}
  - {id: x}
policy: {model_policy: manual}
"""
    )  # fmt: skip
