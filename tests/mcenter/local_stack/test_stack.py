"""The stack as a user drives it: it keeps its data whatever is killed, and leaves no process behind."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.request
import uuid
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver.errors import ServerException
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from parallelm.connections import load_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.kafka import client_config
from parallelm.mcenter.local_stack import LocalStack, StackError
from parallelm.mlops import MLOps
from parallelm.mlops._session.settings import read_settings
from parallelm.schemas.topic_admin import create_topics
from parallelm.supervision.die_with_parent import killed_with_us
from parallelm.warehouse import migrate
from tests.mcenter.local_stack.conftest import (
    SERVICES,
    CommandLine,
    all_gone,
    bare_environment,
    command,
    kill,
)
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings


WAIT_S = 60


def write_a_row(settings: Settings) -> str:
    value = uuid.uuid4().hex
    with clickhouse_client(settings.clickhouse, database="default") as client:
        client.execute("CREATE TABLE IF NOT EXISTS kept (value String) ENGINE = MergeTree ORDER BY value")
        client.execute("INSERT INTO kept VALUES", [(value,)])
    return value


def rows(settings: Settings) -> set[str]:
    with clickhouse_client(settings.clickhouse, database="default") as client:
        return {value for (value,) in client.execute("SELECT value FROM kept")}


def send_a_record(settings: Settings) -> str:
    create_topics(settings)
    value = uuid.uuid4().hex
    producer = Producer(client_config(settings.kafka))
    producer.produce("mlops.events", value.encode(), partition=0)
    assert producer.flush(WAIT_S) == 0
    return value


def records(settings: Settings) -> set[str]:
    consumer = Consumer(client_config(settings.kafka, group_id=uuid.uuid4().hex, enable_partition_eof="true"))
    consumer.assign([TopicPartition("mlops.events", 0, 0)])
    found: set[str] = set()
    try:
        while (message := consumer.poll(WAIT_S)) is not None:
            error = message.error()
            if error is None:
                found.add(message.value().decode())
            elif error.code() == KafkaError._PARTITION_EOF:
                return found
            # Other errors tell of a connection that was lost with the broker's last life; the client makes another.
    finally:
        consumer.close()
    raise AssertionError(f"the end of the partition did not come; {len(found)} records")


def test_status_shows_each_process(running: CommandLine):
    asked = running.run("status", "--json")
    found = json.loads(asked.stdout)
    text = running.run("status")

    assert asked.returncode == 0
    assert found["healthy"]
    assert {process["name"] for process in found["processes"]} == {"kafka", "clickhouse", "registry"}
    for process in found["processes"]:
        assert process["address"].startswith("127.0.0.1:")
        assert process["uptime_s"] > 0
        assert process["memory_bytes"] > 1_000_000
        assert str(process["pid"]) in text.stdout
    assert text.returncode == 0


@pytest.mark.parametrize("name", ["mcenter.toml", "mcenter.admin.toml"])
def test_its_settings_files_are_for_their_owner_only_and_no_password_shows_in_a_command_line(
    running: CommandLine, name: str
):
    password = load_settings({}, file=running.folder / name).clickhouse.password

    assert stat.S_IMODE((running.folder / name).stat().st_mode) == 0o600
    assert len(password) >= 20
    for pid in running.pids():
        with open(f"/proc/{pid}/cmdline", "rb") as command_line:  # noqa: PTH123 - /proc is no place for paths
            assert password.encode() not in command_line.read()


def test_components_and_notebooks_read_with_a_user_who_may_change_nothing(
    running: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MCENTER_CONFIG", str(running.folder / "mcenter.toml"))
    monkeypatch.setenv("MCENTER_COMPONENT_OUTBOX_FOLDER", str(tmp_path))
    with clickhouse_client(running.admin_settings.clickhouse, database="default") as client:
        client.execute("CREATE DATABASE IF NOT EXISTS mcenter")
    mlops = MLOps()
    mlops.attach("app")
    mlops.done()
    component = read_settings()

    assert write_a_row(running.admin_settings) in rows(component)
    with pytest.raises(ServerException, match="may only read"):
        write_a_row(component)


def test_the_registry_serves_the_packaged_schemas(running: CommandLine):
    address = running.process("registry").address

    with urllib.request.urlopen(f"http://{address}/subjects", timeout=WAIT_S) as reply:
        assert "mlops.statistics-value" in json.load(reply)


def test_status_counts_lag(running: CommandLine):
    settings = running.settings
    create_topics(settings)
    group = f"{settings.kafka.topic_prefix}group-{uuid.uuid4().hex[:8]}"
    producer = Producer(client_config(settings.kafka))
    for _ in range(5):
        producer.produce("mlops.dead-letters", b"poison", partition=3)
    assert producer.flush(WAIT_S) == 0
    consumer = Consumer(client_config(settings.kafka, group_id=group, auto_offset_reset="earliest"))
    _, end = consumer.get_watermark_offsets(TopicPartition("mlops.dead-letters", 3), timeout=WAIT_S)
    consumer.commit(offsets=[TopicPartition("mlops.dead-letters", 3, end - 2)], asynchronous=False)
    consumer.close()

    found = running.status()

    lag = next(lag for lag in found["consumer_groups"] if lag["group"] == group)
    assert (lag["members"], lag["records"]) == (0, 2)


def test_a_second_stack_on_the_same_folder_is_refused(running: CommandLine):
    second = running.run("up", "--detach", *SERVICES)

    assert second.returncode == 1
    assert f"in use by the stack of pid {running.status()['supervisor_pid']}" in second.stderr
    assert running.status()["healthy"]


def test_a_named_port_that_is_in_use_is_reported_with_its_owner(running: CommandLine, tmp_path: Path):
    kafka = running.process("kafka")
    port = kafka.address.rpartition(":")[2]

    other = CommandLine(tmp_path / "data").run("up", "--service", "kafka", "--kafka-port", port)

    assert other.returncode == 1
    assert f"port {port}, wanted for kafka, is in use by pid {kafka.pid} (java)" in other.stderr


@pytest.mark.parametrize("name", ["kafka", "clickhouse"])
def test_a_killed_process_is_started_again_with_its_data(running: CommandLine, name: str):
    row, record = write_a_row(running.admin_settings), send_a_record(running.settings)
    before = running.process(name)

    kill(before.pid)
    wait_for(
        lambda: (now := running.process(name)).condition == "ready" and now.pid != before.pid,
        f"another {name}",
    )

    after = running.process(name)
    assert after.address == before.address
    assert after.restarts == before.restarts + 1
    assert after.last_error == "was killed by SIGKILL"
    assert row in rows(running.settings)
    assert record in records(running.settings)
    events = (running.folder / "logs" / "stack.log").read_text()
    assert f"{name.ljust(12)}| was killed by SIGKILL; starts again in 0.25 s. Its last lines:\n    " in events


def test_a_killed_supervisor_takes_all_processes_with_it(running: CommandLine):
    row, record = write_a_row(running.admin_settings), send_a_record(running.settings)
    pids, settings = running.pids(), running.settings

    kill(pids[0])
    wait_for(lambda: all_gone(pids), "the end of all processes")

    told = running.run("status")
    assert told.returncode == 1
    assert "no stack runs in" in told.stdout
    assert running.run("up", "--detach", *SERVICES).returncode == 0
    assert running.settings == settings
    assert row in rows(settings)
    assert record in records(settings)


def test_a_process_that_hangs_is_unhealthy_until_it_answers_again(running: CommandLine):
    pid = running.process("kafka").pid

    kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: running.process("kafka").condition == "unhealthy", "the state unhealthy")
        told = running.run("status")
    finally:
        kill(pid, signal.SIGCONT)

    assert told.returncode == 1
    assert "kafka is unhealthy" in told.stdout
    wait_for(lambda: running.status()["healthy"], "health")
    assert running.process("kafka").pid == pid


def test_the_folder_of_a_store_that_was_removed_is_named(running: CommandLine):
    mark = running.folder / "kafka" / "meta.properties"
    aside = mark.rename(running.folder / "meta.properties")
    try:
        told = running.run("status")
    finally:
        aside.rename(mark)
    assert told.returncode == 1
    assert f"the data of kafka were removed from {running.folder / 'kafka'} while it runs" in told.stdout
    assert running.run("status").returncode == 0


def test_doctor_finds_a_healthy_machine_and_a_running_stack(running: CommandLine):
    create_topics(running.settings)
    migrate(running.admin_settings)

    told = subprocess.run(
        command("doctor", "--json", "--data", str(running.folder)),
        env=bare_environment() | {"MCENTER_CONFIG": str(running.folder / "mcenter.toml")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    verdicts = {check["name"]: check["verdict"] for check in json.loads(told.stdout)["checks"]}
    assert verdicts.pop("memory") in {"ok", "note"}, "how much is free is not this test's business"
    assert set(verdicts.values()) == {"ok"}, told.stdout
    assert {"java", "kafka jars", "open files", "kafka", "clickhouse", "artifacts"} <= set(verdicts)
    assert told.returncode == 0


def test_doctor_finds_models_outside_of_the_folder(running: CommandLine) -> None:
    file = running.folder / "mcenter.toml"
    content = file.read_text()
    try:
        file.write_text(re.sub(r'url = "file:[^"]*"', 'url = "file:///tmp/elsewhere"', content))
        said = running.run("doctor").stdout
    finally:
        file.write_text(content)
    assert "models, in /tmp/elsewhere" in said
    assert "was it moved?" in said


def test_a_stack_keeps_data_and_ports_from_start_to_start_and_ctrl_c_stops_all_of_it(running: CommandLine):
    row, record = write_a_row(running.admin_settings), send_a_record(running.settings)
    pids, settings = running.pids(), running.settings

    stopped = running.run("down")
    assert stopped.returncode == 0
    assert all_gone(pids)
    assert running.run("status").returncode == 1
    assert running.run("down").stdout.startswith("no stack runs in")

    foreground = subprocess.Popen(
        killed_with_us(*command("up", "--data", str(running.folder), *SERVICES)),
        env=bare_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert foreground.stdout is not None
    output: list[str] = []
    for line in foreground.stdout:
        output.append(line)
        if line.startswith("Ctrl-C"):
            break
    pids = running.pids()
    assert running.settings == settings
    assert row in rows(settings)
    assert record in records(settings)

    os.killpg(foreground.pid, signal.SIGINT)
    output += foreground.stdout
    foreground.stdout.close()

    assert foreground.wait(120) == 0
    assert all_gone(pids)
    assert any(line.startswith("clickhouse  | ") and "ready" in line for line in output)
    assert f"  kafka       {settings.kafka.bootstrap_servers}\n" in output


def test_a_stack_ends_with_the_program_that_started_it(tmp_path: Path):
    program = f"""
import os, time
from pathlib import Path
from parallelm.mcenter.local_stack import LocalStack
LocalStack(Path({str(tmp_path / "data")!r}), services=("clickhouse",)).start()
print("ready", flush=True)
time.sleep(60)
"""
    started = subprocess.Popen(
        killed_with_us(sys.executable, "-c", program), env=bare_environment(), stdout=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    pids = CommandLine(tmp_path / "data").pids()

    started.kill()
    started.communicate()

    wait_for(lambda: all_gone(pids), "the end of all processes")


def test_what_does_not_come_up_is_told_with_its_last_lines(tmp_path: Path):
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "meta.properties").write_text("version=1\ncluster.id=damaged\nnode.id=77\n")

    with pytest.raises(StackError, match=r"(?s)kafka ended with code 1\. Its last lines .*77"):
        LocalStack(tmp_path, services=("kafka",)).start()

    assert CommandLine(tmp_path).status()["supervisor_pid"] is None


def test_doctor_says_what_to_do_about_an_unreachable_cluster(tmp_path: Path):
    told = subprocess.run(
        command("doctor", "--data", str(tmp_path), "--timeout", "1"),
        env=bare_environment()
        | {
            "MCENTER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
            "MCENTER_CLICKHOUSE_PORT": "9",
            "MCENTER_SCHEMA_REGISTRY_URL": "http://127.0.0.1:9",
            "MCENTER_ARTIFACTS_URL": "file:///dev/null/artifacts",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert told.returncode == 1
    assert told.stdout.rstrip().endswith("4 problems")
    assert "MCENTER_KAFKA_BOOTSTRAP_SERVERS" in told.stdout
    assert not told.stderr


def test_unknown_services_and_missing_ones_are_refused(tmp_path: Path):
    with pytest.raises(StackError, match="unknown service 'spark'; there are: kafka,"):
        LocalStack(tmp_path, services=("spark",))
    with pytest.raises(StackError, match="need kafka and clickhouse; missing: clickhouse"):
        LocalStack(tmp_path, services=("kafka", "sink"))
