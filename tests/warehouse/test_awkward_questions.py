"""Questions with wrong options, equal times, infinite values and equal ids: refused in a sentence, or answered right."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.warehouse import QueryError, queries
from tests.warehouse.rows import DAY_MS, T0_MS, deployment, insert, kpi, model, statistic

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

DAYS = range(20)


@pytest.mark.parametrize("limit", [-1, 1.5, "2", True, 2**63], ids=repr)
def test_a_limit_that_is_not_a_whole_number_is_refused(settings: Settings, limit: Any) -> None:
    for question in (queries.statistics, queries.dead_letters):
        with pytest.raises(QueryError, match="must be a whole number, 0 or more"):
            question(settings, limit=limit)


def test_a_label_without_a_value_is_not_the_lack_of_the_label(settings: Settings, client: Client) -> None:
    insert(client, "kpis", [kpi("k", T0_MS, 1.0), kpi("k", T0_MS, 2.0, labels={"region": ""})])
    insert(client, "kpis", [kpi("k", T0_MS, 3.0, labels={"region": "north", "a'b%s": ""})])
    assert queries.kpis(settings, "k", labels={"region": ""})["value"].tolist() == [2.0]
    assert queries.kpis(settings, "k", labels={"a'b%s": ""})["value"].tolist() == [3.0]
    with pytest.raises(QueryError, match=r"label 'region' with value 1: labels and their values are text"):
        queries.kpis(settings, "k", labels={"region": 1})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bucket": "NaT"}, "bucket 'NaT' is not a time delta"),
        ({"bucket": ""}, "bucket '' is not a time delta"),
        ({"bucket": None}, "bucket None is not a time delta"),
        ({"max_lag": -1}, "largest lag is -1"),
        ({"max_lag": 1.5}, "largest lag is 1.5"),
        ({"min_points": "3"}, "smallest number of points is '3'"),
        ({"kpi_aggregation": "max"}, "KPI aggregation is 'max'; there are: sum, mean"),
        ({"aggregations": {"s": "max"}}, "aggregation of 's' is 'max'; there are: sum, mean"),
        ({"correction": "bonferoni"}, "correction is 'bonferoni'; there are: holm, fdr_bh"),
    ],
    ids=str,
)
def test_correlate_refuses_wrong_options(settings: Settings, options: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        queries.correlate(settings, "k", **options)


def test_huge_and_nonfinite_values_spoil_no_correlation(settings: Settings, client: Client) -> None:
    values = [float(day * day % 7) for day in DAYS]
    spoiled = {3: 1e308, 5: math.nan, 6: math.inf, 9: -1e308}
    for day, value in enumerate(values):
        at_ms = T0_MS + day * DAY_MS
        shown = spoiled.get(day, value)
        insert(
            client,
            "statistics",
            [statistic("s", at_ms, shown, _index=0), statistic("s", at_ms, shown, _index=1)],
        )
        insert(client, "statistics", [statistic("constant", at_ms, 5.0, _index=0)])
        insert(client, "kpis", [kpi("k", at_ms, value)])
    found = queries.correlate(settings, "k", max_lag=10_000)
    best = found[(found["statistic"] == "s") & (found["form"] == "raw")].iloc[0]
    assert (best["lag"], best["n"], best["r"]) == (0, 16, pytest.approx(1.0))
    by_view = queries.query_frame(
        settings, "SELECT statistic, days, correlation FROM kpi_correlation(mlapp_id = 'app', kpi = 'k')"
    ).set_index("statistic")
    assert by_view.loc["s"].tolist() == [16, pytest.approx(1.0)]
    assert math.isnan(by_view.loc["constant", "correlation"])


def test_of_models_deployed_at_the_same_time_the_last_recorded_is_the_deployed_one(
    settings: Settings, client: Client
) -> None:
    for model_id in ("z", "a", "m"):
        insert(client, "models_log", [model(model_id, T0_MS)])
        insert(client, "deployments_log", [deployment(model_id, "requested", T0_MS)])
    deployed = queries.last_deployed_model(settings, "app", "predict")
    assert deployed is not None
    assert deployed.model_id == "m"


def test_a_model_of_another_mlapp_with_the_same_id_is_another_model(
    settings: Settings, client: Client
) -> None:
    insert(client, "models_log", [model("m", T0_MS, mlapp_id="another", name="other"), model("m", T0_MS)])
    insert(client, "deployments_log", [deployment("m", "active", T0_MS)])
    deployed = queries.last_deployed_model(settings, "app", "predict")
    assert deployed is not None
    assert deployed.name == "classifier"
    live_on = queries.models(settings).set_index("mlapp_id")["live_on"]
    assert live_on.map(list).to_dict() == {"another": [], "app": ["predict"]}
