"""Predictions and outcomes: what is reported of them, what is refused, and which ones are chosen."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from parallelm.mlops import mlops
from parallelm.mlops._reporting.outcomes import is_sampled
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable


def test_scores_with_the_columns_of_a_frame() -> None:
    frame = pd.DataFrame({"carrier": ["UA", None], "distance": [700.0, float("nan")], "night": [True, False]})
    with capture() as reported:
        mlops.predictions(
            np.array([7, 8]),
            np.array([0.25, 0.75], dtype="float32"),
            frame,
            outcome="delayed",
            kind="score",
            model="m-1",
            timestamp=[datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC)],
        )
    [found] = reported.predictions
    assert (found.outcome, found.kind, found.model_id, found.sampled_share) == (
        "delayed",
        "score",
        "m-1",
        1.0,
    )
    assert (found.ids, found.values, found.classes) == (["7", "8"], [0.25, 0.75], [])  # noqa: PD011 - no frame
    assert found.timestamps_ms == [1_356_998_400_000, 1_357_084_800_000]
    assert found.features == {"carrier": ["UA", ""], "distance": ["700", ""], "night": ["1", "0"]}


@pytest.mark.parametrize(
    ("values", "options", "kind", "numbers", "classes"),
    [
        ([1, 2.5], {}, "number", [1.0, 2.5], []),
        (["late", "on time"], {}, "class", [], ["late", "on time"]),
        ([True, False], {}, "class", [], ["1", "0"]),
        ([3, 4.0], {"kind": "class"}, "class", [], ["3", "4"]),
    ],
)
def test_what_predictions_are_follows_from_their_values(
    values: list[Any], options: dict[str, str], kind: str, numbers: list[float], classes: list[str]
) -> None:
    with capture() as reported:
        mlops.predictions(["a", "b"], values, **options)
    [found] = reported.predictions
    assert (found.kind, found.values, found.classes) == (kind, numbers, classes)  # noqa: PD011 - no frame


def test_outcomes_are_texts_in_their_shortest_form() -> None:
    with capture() as reported, mlops.event_time("2013-01-01T00:00Z"):
        mlops.actuals(["a", "b", "c", "d"], [1.0, "late", True, 2.5], outcome="delayed")
    [found] = reported.actuals
    assert (found.outcome, found.ids, found.values) == (  # noqa: PD011 - no frame
        "delayed",
        ["a", "b", "c", "d"],
        ["1", "late", "1", "2.5"],
    )
    assert found.timestamps_ms == [1_356_998_400_000] * 4


@pytest.mark.parametrize(
    ("given", "reported_id"),
    [
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (2**64 + 1, "18446744073709551617"),
        (np.int64(7), "7"),
        (7.0, "7"),
        (np.str_("a"), "a"),
        ("007", "007"),
    ],
)
def test_ids_are_reported_exactly(given: Any, reported_id: str) -> None:
    with capture() as reported:
        mlops.predictions([given], [1])
        mlops.actuals([given], [1])
    assert reported.predictions[0].ids == reported.actuals[0].ids == [reported_id]


@pytest.mark.parametrize(
    "values", [np.array([[0.25], [0.75]]), pd.DataFrame({"late": [0.25, 0.75]}), pd.Series([0.25, 0.75])]
)
def test_scores_may_be_a_column_of_their_own(values: Any) -> None:
    with capture() as reported:
        mlops.predictions(["a", "b"], values, kind="score")
    assert reported.predictions[0].values == [0.25, 0.75]  # noqa: PD011 - no frame


def test_missing_features_of_every_kind_are_left_out() -> None:
    frame = pd.DataFrame(
        {"at": [pd.NaT], "count": pd.array([None], dtype="Int64"), "carrier": pd.Categorical([None])}
    )
    with capture() as reported:
        mlops.predictions(["a"], [1], frame)
    assert reported.predictions[0].features == {"at": [""], "count": [""], "carrier": [""]}


class _Hostile:
    def __len__(self) -> int:
        raise ZeroDivisionError

    __iter__ = __str__ = __repr__ = __len__  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mlops.predictions(["a"], [1, 2]), "1 ids and 2 values"),
        (lambda: mlops.predictions(["a"], [1], {"x": [1, 2]}), "1 ids and 2 values of 'x'"),
        (lambda: mlops.predictions(["a"], [1], timestamp=[1, 2]), "1 ids and 2 timestamps"),
        (lambda: mlops.predictions([""], [1]), "an id is empty"),
        (lambda: mlops.predictions([None], [1]), "an id is None"),
        (lambda: mlops.predictions([float("nan")], [1]), "an id is nan"),
        (lambda: mlops.predictions([pd.NA], [1]), "an id is <NA>"),
        (lambda: mlops.predictions([2.5], [1]), "an id is 2.5"),
        (lambda: mlops.predictions(np.array([2.0**60]), [1]), "no exact whole number"),
        (lambda: mlops.predictions([b"a"], [1]), r"of type bytes; .*str\(id\)"),
        (lambda: mlops.predictions(["x" * 1_001], [1]), "an id has 1001 characters"),
        (lambda: mlops.predictions(["a"], np.array([[0.1, 0.9]]), kind="score"), "2 columns"),
        (lambda: mlops.predictions(["a"], pd.DataFrame({"no": [0.1], "yes": [0.9]})), "2 columns"),
        (lambda: mlops.actuals(["a"], [pd.NaT]), "an outcome is NaT"),
        (lambda: mlops.actuals(["a"], [""]), "an outcome is empty"),
        (lambda: mlops.predictions(["a"], [1.5], kind="score"), "a score is 1.5"),
        (lambda: mlops.predictions(["a"], [float("nan")], kind="score"), "a score is nan"),
        (lambda: mlops.predictions(["a"], [1], kind="guess"), "number, score, class"),
        (lambda: mlops.predictions(["a"], [1], outcome=""), "outcome is empty"),
        (lambda: mlops.predictions(["a"], [1], 5), "a frame or a dict of lists"),
        (lambda: mlops.predictions("a", [1]), "ids must be a list"),
        (lambda: mlops.predictions(["a"], [_Hostile()]), "must be a number"),
        (lambda: mlops.predictions(_Hostile(), [1]), "ids"),
        (lambda: mlops.actuals(["a"], [None]), "an outcome is None"),
        (lambda: mlops.actuals(["a"], [float("nan")]), "an outcome is nan"),
        (lambda: mlops.actuals(["a"], []), "1 ids and 0 outcomes"),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_reported(call: Callable[[], Any], message: str) -> None:
    with capture() as reported:
        with pytest.raises(MLOpsException, match=message):
            call()
        assert reported.predictions == []
        assert reported.actuals == []


def test_many_predictions_are_several_records_that_hold_each_once() -> None:
    with capture() as reported:
        mlops.predictions(range(12_000), [0.5] * 12_000, {"text": ["é" * 200] * 12_000})
    assert [name for found in reported.predictions for name in found.ids] == [str(n) for n in range(12_000)]
    assert len(reported.predictions) > 10
    assert all(sum(map(len, found.features["text"])) * 2 < 500_000 for found in reported.predictions)


def test_the_share_is_chosen_by_the_ids_alone() -> None:
    ids = [f"order-{number}" for number in range(20_000)]
    chosen = {name for name in ids if is_sampled(name, 0.1)}
    assert 0.09 < len(chosen) / len(ids) < 0.11
    assert chosen <= {name for name in ids if is_sampled(name, 0.2)}
    assert all(is_sampled(name, 1.0) for name in ids)
    assert not any(is_sampled(name, 0.0) for name in ids)
