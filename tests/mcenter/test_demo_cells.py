"""How the demo writes values for people."""

from __future__ import annotations

import pandas as pd
import pytest

from parallelm.mcenter.demo.cells import cell, heading, is_number, rows


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (pd.NaT, "-"),
        (pd.Timestamp("2013-06-01 12:00", tz="UTC"), "2013-06-01"),
        (True, "yes"),
        (False, "no"),
        (24_951, "24,951"),
        (0.0, "0"),
        (0.63761, "0.638"),
        (-59.04, "-59.0"),
        (10_233.4, "10,233"),
        (3e-9, "3e-09"),
        ("superseded", "superseded"),
    ],
)
def test_a_value_is_written_as_people_read_it(value: object, text: str):
    assert cell(value) == text


def test_columns_keep_their_own_type():
    frame = pd.DataFrame({"model": ["2013-06"], "flights": [28_243], "auc": [0.659], "settled": [True]})
    assert list(rows(frame)) == [["2013-06", "28,243", "0.659", "yes"]]
    assert [is_number(frame[name]) for name in frame] == [False, True, True, False]


def test_headings_are_words():
    assert heading("live_from") == "live from"
