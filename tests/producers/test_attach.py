"""``attach``: act for an MLApp from a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.producers.conftest import ComponentOnPlatform

ATTACH = """
from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException
try:
    mlops.attach("notebook-app"{arguments})
except MLOpsConnectionException as error:
    assert "hunter2" not in str(error)
    assert "refused: " in str(error)
    assert "somebody: Authentication failed" in str(error)
    assert "Stack trace" not in str(error)
    print("refused")
else:
    assert mlops.mlapp_id == "notebook-app"
    mlops.set_stat("x", 1.0)
    try:
        mlops.attach("another")
    except MLOpsException:
        print("attached")
    mlops.done()
"""


def test_a_notebook_reports_for_the_mlapp_that_it_attached_to(platform: ComponentOnPlatform) -> None:
    assert platform.run(ATTACH.format(arguments=""), PM_WORKFLOW_INSTANCE_ID="").strip() == "attached"
    assert platform.rows("SELECT mlapp_id, value FROM statistics WHERE name = 'x'") == [("notebook-app", 1.0)]


def test_a_user_that_clickhouse_refuses_is_told_so_without_the_password(
    platform: ComponentOnPlatform,
) -> None:
    wrong = {"MCENTER_CLICKHOUSE_USER": "somebody", "MCENTER_CLICKHOUSE_PASSWORD": "hunter2"}
    assert platform.run(ATTACH.format(arguments=""), **wrong).strip() == "refused"
