"""Everything that ``mcenter up`` runs by default, together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.schemas.topic_admin import check_topics
from tests.mcenter.local_stack.conftest import CommandLine, all_gone, kill, stopped_at_the_end
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["kafka", "clickhouse", "registry", "sink", "processors"]


def test_up_prepares_topics_and_tables_and_survives_the_death_of_every_process(tmp_path: Path):
    stack = CommandLine(tmp_path / "data")
    with stopped_at_the_end(stack.folder):
        started = stack.run("up", "--detach")
        assert started.returncode == 0, started.stderr
        first = json.loads(stack.run("status", "--json").stdout)
        with clickhouse_client(stack.admin_settings.clickhouse) as client:
            tables = {name for (name,) in client.execute("SHOW TABLES")}
        differences = check_topics(stack.settings)

        for process in first["processes"]:
            kill(process["pid"])
        wait_for(lambda: dead_are_replaced(stack, first), "health")
        pids = stack.pids()
        stopped = stack.run("down")

    assert [process["name"] for process in first["processes"] if process["name"] in NAMES] == NAMES
    assert {"mlops.sink", "mlops.processors"} <= {lag["group"] for lag in first["consumer_groups"]}
    assert {"statistics", "kpis", "deployments", "dead_letters"} <= tables
    assert differences == []
    assert stopped.returncode == 0
    assert all_gone(pids)


def dead_are_replaced(stack: CommandLine, before: dict) -> bool:
    if not all(stack.process(name).is_up for name in NAMES):
        return False  # without waiting for what a broker that is away has to say
    now = stack.status()
    old = {process["pid"] for process in before["processes"]}
    return now["healthy"] and not old & {process["pid"] for process in now["processes"]}
