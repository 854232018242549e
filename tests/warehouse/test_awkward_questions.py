"""Questions with wrong options, equal times, infinite values and equal ids: refused in a sentence, or answered right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from parallelm.warehouse import QueryError, queries
from tests.warehouse.rows import T0_MS, deployment, insert, kpi, model

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


def test_of_models_deployed_at_the_same_time_the_last_recorded_is_the_deployed_one(
    settings: Settings, client: Client
) -> None:
    for model_id in ("z", "a", "m"):
        insert(client, "models_log", [model(model_id, T0_MS)])
        insert(client, "deployment_transitions_log", [deployment(model_id, "requested", T0_MS)])
    deployed = queries.last_deployed_model(settings, "app", "predict")
    assert deployed is not None
    assert deployed.model_id == "m"


def test_a_model_of_another_mlapp_with_the_same_id_is_another_model(
    settings: Settings, client: Client
) -> None:
    insert(client, "models_log", [model("m", T0_MS, mlapp_id="another", name="other"), model("m", T0_MS)])
    insert(client, "deployment_transitions_log", [deployment("m", "active", T0_MS)])
    deployed = queries.last_deployed_model(settings, "app", "predict")
    assert deployed is not None
    assert deployed.name == "classifier"
    live_on = queries.models(settings).set_index("mlapp_id")["live_on"]
    assert live_on.map(list).to_dict() == {"another": [], "app": ["predict"]}
