"""Quality of predictions whose outcomes came later, held against scikit-learn."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries.model_quality import Judged, calibration, model_quality, whole_buckets
from tests.warehouse.rows import DAY_MS, T0_MS, insert

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

NOW_MS = time.time_ns() // 1_000_000


def prediction(name: str, at_ms: int, **more: Any) -> dict[str, Any]:
    return {
        "mlapp_id": "app",
        "outcome": "delayed",
        "kind": "score",
        "model_id": "m-1",
        "prediction_id": name,
        "event_time": at_ms,
        "sampled_share": 1.0,
    } | more


def actual(name: str, value: str, **more: Any) -> dict[str, Any]:
    return {
        "mlapp_id": "app",
        "outcome": "delayed",
        "prediction_id": name,
        "event_time": T0_MS,
        "actual": value,
    } | more


def test_scores_are_judged_as_scikit_learn_judges_them(client: Client, settings: Settings) -> None:
    rng = np.random.default_rng(9)
    scores = np.round(rng.random(600), 2)
    truths = (rng.random(600) < scores**1.5).astype(int)
    days = np.arange(600) % 3
    carriers = np.where(rng.random(600) < 0.4, "UA", "DL")
    insert(
        client,
        "predictions",
        [
            prediction(
                str(n), T0_MS + int(days[n]) * DAY_MS + n, value=scores[n], features={"carrier": carriers[n]}
            )
            for n in range(600)
        ],
    )
    known = np.arange(600) % 5 != 0
    insert(client, "actuals", [actual(str(n), str(truths[n])) for n in np.flatnonzero(known)])
    costs = {"1:0": 10.0, "0:1": 50.0}
    found = model_quality(settings, Judged(mlapp_id="app", threshold=0.4, costs=costs), segment="carrier")
    assert len(found) == 6
    for row in found.to_dict("records"):
        day = (row["bucket_start"].to_pydatetime() - datetime(2013, 1, 1, tzinfo=UTC)).days
        made = (days == day) & (carriers == row["segment"])
        p, y = scores[made & known], truths[made & known]
        decided = (p >= 0.4).astype(int)
        assert (row["predictions"], row["known"], row["unusable"]) == (made.sum(), len(p), 0)
        assert row["known_share"] == pytest.approx(len(p) / made.sum())
        assert row["accuracy"] == pytest.approx(metrics.accuracy_score(y, decided))
        assert row["auc"] == pytest.approx(metrics.roc_auc_score(y, p))
        assert row["log_loss"] == pytest.approx(metrics.log_loss(y, p))
        assert row["brier"] == pytest.approx(metrics.brier_score_loss(y, p))
        wrong = 10.0 * ((decided == 1) & (y == 0)).sum() + 50.0 * ((decided == 0) & (y == 1)).sum()
        assert row["cost"] == pytest.approx(wrong / len(p))
        assert row["total_cost"] == pytest.approx(wrong)
        tenths = np.minimum(9, np.floor(p * 10))
        gaps = sum(abs((p - y)[tenths == tenth].sum()) for tenth in range(10))
        assert row["calibration_error"] == pytest.approx(gaps / len(p))
        assert np.isnan(row["rmse"])
    bins = calibration(settings, Judged(mlapp_id="app"))
    tenths = np.minimum(9, np.floor(scores * 10))
    for number, row in enumerate(bins.to_dict("records")):
        inside = known & (tenths == number)
        assert row["known"] == inside.sum()
        assert row["score_from"] == pytest.approx(number / 10)
        assert row["expected"] == pytest.approx(scores[inside].mean())
        assert row["observed"] == pytest.approx(truths[inside].mean())
    assert len(bins) == 10


def test_numbers_are_judged_by_their_errors(client: Client, settings: Settings) -> None:
    values, truths = np.array([1.0, 5.0, 9.0, 2.0]), np.array([2.0, 4.5, 9.0, 8.0])
    rows = [prediction(str(n), T0_MS, kind="number", value=value) for n, value in enumerate(values)]
    insert(client, "predictions", [*rows, prediction("unknown", T0_MS, kind="number", value=1e9)])
    insert(client, "actuals", [*(actual(str(n), str(truth)) for n, truth in enumerate(truths))])
    [row] = model_quality(settings, Judged(costs={"over": 2.0, "under": 3.0}), by=None).to_dict("records")
    assert row["rmse"] == pytest.approx(metrics.root_mean_squared_error(truths, values))
    assert row["mae"] == pytest.approx(metrics.mean_absolute_error(truths, values))
    assert row["total_cost"] == pytest.approx(2.0 * 0.5 + 3.0 * (1.0 + 6.0))
    assert (row["predictions"], row["known"]) == (5, 4)
    [unpriced] = model_quality(settings, Judged(costs={"1:0": 2.0}), by=None).to_dict("records")
    does_not_apply = ("accuracy", "auc", "calibration_error")
    assert np.isnan([*(row[name] for name in does_not_apply), unpriced["cost"], unpriced["total_cost"]]).all()


def test_classes_are_the_same_whether_written_as_text_or_number(client: Client, settings: Settings) -> None:
    pairs = [("late", "late"), ("late", "on time"), ("7", "7.0"), ("1", "true"), ("0", "1"), ("UA", "DL")]
    insert(
        client,
        "predictions",
        [
            prediction(
                str(n), T0_MS, kind="class", value=float("nan"), predicted_class=predicted, sampled_share=0.5
            )
            for n, (predicted, _) in enumerate(pairs)
        ],
    )
    insert(client, "actuals", [actual(str(n), truth) for n, (_, truth) in enumerate(pairs)])
    [row] = model_quality(settings, Judged(costs={"late:on time": 4.0}), by=None).to_dict("records")
    assert (row["known"], row["accuracy"]) == (6, 0.5)
    assert row["total_cost"] == 8.0


def test_a_revision_counts_from_when_it_arrived(client: Client, settings: Settings) -> None:
    insert(client, "predictions", [prediction("a", T0_MS, value=0.9, ingested_at=NOW_MS - 5_000)])
    insert(
        client,
        "actuals",
        [actual("a", "0", ingested_at=NOW_MS - 3_000), actual("a", "1", ingested_at=NOW_MS - 1_000)],
    )
    for age_ms, known, accuracy in ((4_000, 0, float("nan")), (2_000, 1, 0.0), (0, 1, 1.0)):
        at = datetime.fromtimestamp((NOW_MS - age_ms) / 1000, UTC)
        [row] = model_quality(settings, Judged(known_at=at)).to_dict("records")
        assert (row["known"], row["accuracy"]) == (known, pytest.approx(accuracy, nan_ok=True))
    before = datetime.fromtimestamp((NOW_MS - 6_000) / 1000, UTC)
    assert model_quality(settings, Judged(known_at=before)).empty


def test_what_fits_no_score_is_counted_and_not_judged(client: Client, settings: Settings) -> None:
    insert(client, "predictions", [prediction(str(n), T0_MS, value=0.9) for n in range(3)])
    insert(client, "actuals", [actual("0", "cancelled"), actual("1", "2"), actual("2", "1")])
    [row] = model_quality(settings, Judged()).to_dict("records")
    assert (row["known"], row["unusable"], row["accuracy"]) == (1, 2, 1.0)


def test_a_prediction_reported_twice_counts_once_and_two_models_count_each(
    client: Client, settings: Settings
) -> None:
    twice = [prediction("a", T0_MS, value=0.1), prediction("a", T0_MS + 1, value=0.9)]
    insert(client, "predictions", [*twice, prediction("a", T0_MS, value=0.2, model_id="m-2")])
    insert(
        client,
        "actuals",
        [actual("a", "1"), actual("a", "0", mlapp_id="other"), actual("a", "0", outcome="lost")],
    )
    found = model_quality(settings, Judged(), by=None).set_index("model_id")
    assert found["predictions"].to_dict() == {"m-1": 1, "m-2": 1}
    assert found["accuracy"].to_dict() == {"m-1": 1.0, "m-2": 0.0}


def test_a_day_is_a_day_of_the_time_zone(client: Client, settings: Settings) -> None:
    insert(
        client,
        "predictions",
        [prediction("a", T0_MS + DAY_MS - 1, value=0.9), prediction("b", T0_MS + DAY_MS, value=1)],
    )
    assert len(model_quality(settings, Judged())) == 2
    [row] = model_quality(settings, Judged(), timezone="Europe/Berlin").to_dict("records")
    assert row["bucket_start"].to_pydatetime() == datetime(2013, 1, 1, 23, tzinfo=UTC)
    for by in ("hour", "week", "month"):
        assert not model_quality(settings, Judged(), by=by).empty  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="Mars"):
        model_quality(settings, Judged(), timezone="Mars/Olympus")


@pytest.mark.parametrize("by", ["hour", "day", "week", "month"])
def test_many_predictions_are_judged_in_parts_with_the_same_answer(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, by: Any
) -> None:
    """Also where an id is predicted again in another part, and where the outcome arrives a year later."""
    at_ms = [T0_MS + n * 7 * 3_600_000 for n in range(200)]
    scores = np.random.default_rng(3).random(200)
    insert(client, "predictions", [prediction(f"{n % 150}", at_ms[n], value=scores[n]) for n in range(200)])
    insert(
        client, "actuals", [actual(str(n), str(n % 2), event_time=T0_MS + 365 * DAY_MS) for n in range(100)]
    )
    judged = Judged(mlapp_id="app", start="2013-01-02", end="2013-02-20")
    whole = model_quality(settings, judged, by=by, timezone="America/New_York")
    assert whole["predictions"].sum() < 150
    monkeypatch.setattr("parallelm.warehouse.queries.model_quality.ROWS_AT_ONCE", 30)
    pd.testing.assert_frame_equal(model_quality(settings, judged, by=by, timezone="America/New_York"), whole)
    everything = model_quality(settings, Judged(), by=by)
    assert everything["predictions"].sum() == 150
    assert everything["known"].sum() == 100


@pytest.mark.parametrize(
    ("by", "zone", "asked", "whole"),
    [
        ("day", "UTC", ("2026-03-04T12:00", "2026-03-05T00:00:00.001"), ("2026-03-04", "2026-03-06")),
        ("day", "UTC", ("2026-03-04", "2026-03-05"), ("2026-03-04", "2026-03-05")),
        ("day", "Europe/Berlin", ("2026-03-04", "2026-03-04"), ("2026-03-03T23:00", "2026-03-04T23:00")),
        # A day of 23 hours, and one that begins at one o'clock.
        ("day", "Europe/Berlin", ("2026-03-29T12:00", "2026-03-29T12:00"), ("2026-03-28T23:00", "2026-03-29T22:00")),
        ("day", "America/Santiago", ("2026-09-06T12:00", "2026-09-06T12:00"), ("2026-09-06T04:00", "2026-09-07T03:00")),
        ("hour", "Asia/Kolkata", ("2026-03-04T12:00", "2026-03-04T12:00"), ("2026-03-04T11:30", "2026-03-04T12:30")),
        ("week", "UTC", ("2026-03-04", None), ("2026-03-02", None)),
        ("week", "Europe/Berlin", (None, "2026-03-30"), (None, "2026-04-05T22:00")),
        ("month", "UTC", ("2026-02-28", "2026-12-02"), ("2026-02-01", "2027-01-01")),
    ],
)  # fmt: skip
def test_a_time_is_widened_to_whole_buckets(
    by: Any, zone: str, asked: tuple[Any, Any], whole: tuple[str | None, str | None]
) -> None:
    expected = tuple(each and datetime.fromisoformat(each).replace(tzinfo=UTC) for each in whole)
    assert whole_buckets(*asked, by, zone) == expected
    assert whole_buckets(*expected, by, zone) == expected
