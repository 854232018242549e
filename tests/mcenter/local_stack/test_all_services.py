"""Everything that ``mcenter up`` runs, together: its default services, the notifier and an agent."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import psutil

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.schemas.topic_admin import check_topics
from parallelm.schemas.topics import ALERTS, DEPLOYMENTS, MODELS
from tests.mcenter.local_stack.conftest import (
    CommandLine,
    all_gone,
    bare_environment,
    command,
    kill,
    stopped_at_the_end,
)
from tests.stream_processors.live import DEFINITION, Cluster
from tests.stream_processors.notifications.receivers import http_receiver
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NAMES = ["kafka", "clickhouse", "registry", "sink", "processors", "notifier", "server", "agent-local"]
NOTIFICATIONS = """\
receivers:
  - name: team
    targets: [{type: webhook, url: "http://127.0.0.1:PORT/"}]
alerts: {receiver: team, group_wait: 0}
"""


KEPT = """\
mlapp: kept
nodes: [{id: node, type: auxiliary, mode: online, pipeline: [python, -c, "import time; time.sleep(1000.25)"]}]
"""


def kept_program() -> int:
    """Process id of the program that the stack's agent runs."""
    found = [
        each.pid
        for each in psutil.process_iter(["cmdline"])
        if "import time; time.sleep(1000.25)" in (each.info["cmdline"] or ())
    ]
    return found[0] if found else 0


def test_up_prepares_topics_and_tables_and_survives_the_death_of_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # the tests' proxy is dead
    stack = CommandLine(tmp_path / "data")
    file = tmp_path / "notifications.yaml"
    with http_receiver() as receiver, stopped_at_the_end(stack.folder):
        file.write_text(NOTIFICATIONS.replace("PORT", str(receiver.port)))
        started = stack.run("up", "--detach", "--notifications", str(file))
        assert started.returncode == 0, started.stderr
        assert "/choose-password?link=" in started.stdout, "the first administrator comes in"
        first = json.loads(stack.run("status", "--json").stdout)
        with clickhouse_client(stack.admin_settings.clickhouse) as client:
            tables = {name for (name,) in client.execute("SHOW TABLES")}
        differences = check_topics(stack.settings)
        decide(stack)
        # Behind the last decision there is the marker of its transaction: it counts as read, too.
        wait_for(lambda: not any(behind(stack).values()), lambda: f"lag: {behind(stack)}")
        wait_for(lambda: receiver.posts, "a notification")
        dead_letters = stack.status()["dead_letters"]
        kept = tmp_path / "kept.yaml"
        kept.write_text(KEPT)
        for arguments in (("apply", str(kept)), ("launch", "kept")):
            settings = {"MCENTER_CONFIG": str(stack.folder / "mcenter.toml")}
            subprocess.run(
                command("mlapp", *arguments),
                env=bare_environment() | settings,
                check=True,
                capture_output=True,
            )
        program = wait_for(kept_program, "the agent runs it")

        for process in first["processes"]:
            kill(process["pid"])
        wait_for(lambda: dead_are_replaced(stack, first), "health")
        assert psutil.pid_exists(program), "runs outlive their agent"
        pids = stack.pids()
        stopped = stack.run("down")
        wait_for(lambda: all_gone([program]), "runs end with the stack")

    assert [process["name"] for process in first["processes"] if process["name"] in NAMES] == NAMES
    assert {"mlops.sink", "mlops.processors", "mlops.notifier"} <= {
        lag["group"] for lag in first["consumer_groups"]
    }
    assert {"statistics", "kpis", "deployment_transitions", "dead_letters"} <= tables
    assert differences == []
    assert [post.title for post in receiver.posts] == ["[FIRING:1] late app"]
    assert dead_letters == 2, "the processors' and the sink's"
    assert stopped.returncode == 0
    assert all_gone(pids)


def decide(stack: CommandLine) -> None:
    """A deployment, an alert and poison."""
    cluster = Cluster(stack.settings)
    cluster.apply(DEFINITION)
    cluster.model(1, "m1")
    cluster.statistic(1, "share", 0.9)
    cluster.send_bytes(MODELS, b"app", b"poison")
    cluster.flush()
    for topic in (ALERTS, DEPLOYMENTS):
        wait_for(lambda topic=topic: cluster.read(topic), topic.name)
    cluster.close()


def behind(stack: CommandLine) -> dict[str, int]:
    return {lag["group"]: lag["records"] for lag in stack.status()["consumer_groups"]}


def dead_are_replaced(stack: CommandLine, before: dict) -> bool:
    if not all(stack.process(name).is_up for name in NAMES):
        return False  # without waiting for what a broker that is away has to say
    now = stack.status()
    old = {process["pid"] for process in before["processes"]}
    return now["healthy"] and not old & {process["pid"] for process in now["processes"]}
