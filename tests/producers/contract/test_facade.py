"""``mlops`` shows the public contract and nothing else; the parts behind it stay apart from each other."""

from __future__ import annotations

import inspect
from typing import Any

import grimp
import pytest

import parallelm.mlops
from parallelm.mlops import MLOps, mlops
from parallelm.mlops.time_capture import TimeCapture
from parallelm.mlops.time_capture._live import LIVE_CALLS

CONTRACT = """
init done attach suppress_connection_errors get_uuid set_uuid test_mode get_stats_map init_called done_called event_time
get_mlapp_id mlapp_id get_mlapp_name mlapp_name get_mlapp_policy mlapp_policy get_nodes nodes get_node get_current_node
get_agents get_agent
set_stat set_kpi get_stats get_kpi set_data_distribution_stat get_data_distribution_stats metrics
event set_event data_alert health_alert system_alert canary_alert get_events
Model publish_model current_model get_last_approved_model get_models_by_time get_model_by_id load_time_capture
"""
OURS = "series dropped wait_for_model predictions actuals get_run_id get_runs get_pipeline_models"
"""What this library adds to the contract."""
WITH_AN_UNDERSCORE = ["_set_api_test_mode", "_set_test_mode"]
"""Methods of the contract that components call in spite of it."""


def shown(value: object) -> set[str]:
    return {name for name in dir(value) if not name.startswith("_")}


def test_dir_shows_the_contract_and_nothing_else() -> None:
    assert shown(mlops) == shown(MLOps) == set(f"{CONTRACT} {OURS}".split())


def test_it_has_its_parts_and_inherits_from_none() -> None:
    assert MLOps.__mro__ == (MLOps, object)
    private = {
        name for name, _ in inspect.getmembers(MLOps, inspect.isfunction) if name[:1] == "_" != name[1]
    }
    assert sorted(private) == WITH_AN_UNDERSCORE


@pytest.mark.parametrize("name", sorted(f"{CONTRACT} {OURS}".split()))
def test_every_name_says_what_it_does(name: str) -> None:
    assert inspect.getdoc(inspect.getattr_static(MLOps, name))


def test_a_capture_knows_which_calls_need_a_live_system() -> None:
    assert shown(MLOps) - shown(TimeCapture) == LIVE_CALLS


@pytest.fixture(scope="module")
def graph() -> Any:
    return grimp.build_graph(parallelm.mlops.__name__)


FACADE = "parallelm.mlops._mlops"


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("time_capture", FACADE),
        ("_session", "parallelm.mlops.testing"),
        ("_mlops", "parallelm.mlops.testing"),
        ("_reporting", FACADE),
        ("_outputs", FACADE),
        ("_delivery", FACADE),
        ("_questions", FACADE),
        ("models", FACADE),
    ],
)
def test_the_parts_know_nothing_of_what_stands_above_them(graph: Any, importer: str, imported: str) -> None:
    chains = graph.find_shortest_chains(f"parallelm.mlops.{importer}", imported, as_packages=True)
    known = {chain for chain in chains if "parallelm.mlops._session.part" not in chain}
    assert not known, "only _session.part does, to find the part of a façade by its name"
