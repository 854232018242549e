"""docker-compose.yml: valid, and its commands run with its settings. No container engine is needed to see that."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from parallelm.connections import load_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.local_stack import LocalStack
from parallelm.supervision.ports import choose_ports
from parallelm.supervision.probes import http_answers
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
COMPOSE = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("mcenter-stream")}
IMAGE_VARIABLES = dict(re.findall(r"(MCENTER_\w+)=(\S+)", DOCKERFILE))


def test_it_is_valid_by_the_schema_of_compose():
    found = find_spec("check_jsonschema")  # its schemas only: it is not imported
    assert found is not None
    assert found.submodule_search_locations
    schema = Path(found.submodule_search_locations[0]) / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(schema.read_text("utf-8")))


def test_every_published_port_is_on_loopback():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_one_image_is_built_once_and_its_user_is_not_root():
    assert [name for name, service in OURS.items() if "build" in service] == ["setup"]
    assert {service["user"] for service in OURS.values()} == {"10001"}
    assert "USER 10001" in DOCKERFILE
    assert OURS["sink"]["depends_on"] == {"setup": {"condition": "service_completed_successfully"}}


def test_what_runs_for_good_is_started_again_and_checked():
    for name, service in SERVICES.items():
        if name not in {"setup", "component"}:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"], name


def test_no_password_is_in_the_file_and_its_secrets_are_in_files():
    text = (ROOT / "docker-compose.yml").read_text()
    assert not re.search(r"PASSWORD:", text)
    for name, service in OURS.items():
        for variable, value in service["environment"].items():
            if variable.endswith("PASSWORD_FILE"):
                secret = value.removeprefix("/run/secrets/")
                assert secret in service["secrets"], name
                assert secret in COMPOSE["secrets"]
    assert "/secrets/" in (ROOT / ".gitignore").read_text()


def test_nothing_of_a_running_platform_gets_into_an_image():
    taken = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in taken)
    rooms = re.search(r"^ROOMS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert rooms is not None
    others = {"examples", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"}
    assert set(taken) == {*rooms[1].split(), *others}
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {"*", "**/.mcenter*", "**/mcenter.toml", "**/mcenter.*.toml"} <= set(lines)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """In place of the containers of Kafka and ClickHouse, with the same two users."""
    folder = tmp_path_factory.mktemp("compose")
    with LocalStack(folder, services=("kafka", "clickhouse")) as running:
        for name, settings in (
            ("clickhouse_admin", running.admin_settings),
            ("clickhouse_reader", running.settings),
        ):
            (folder / name).write_text(settings.clickhouse.password)
        yield running


class Container:
    """A service as the file describes it, with the addresses and secret files of this machine."""

    def __init__(self, name: str, local: LocalStack) -> None:
        folder, settings = local.plan.folder, local.settings
        self.service = OURS[name]
        self.port = choose_ports({"metrics": None}, {})["metrics"]
        here = {
            "kafka:19092": settings.kafka.bootstrap_servers,
            "/run/secrets": str(folder),
            "${PWD}": str(folder),
        }
        variables = IMAGE_VARIABLES | self.service["environment"]
        for ours, theirs in here.items():
            variables = {name: value.replace(ours, theirs) for name, value in variables.items()}
        variables |= {
            "MCENTER_CLICKHOUSE_HOST": "127.0.0.1",
            "MCENTER_CLICKHOUSE_PORT": str(settings.clickhouse.port),
            "MCENTER_METRICS_HOST": "127.0.0.1",
            "MCENTER_METRICS_PORT": str(self.port),
        }
        if name == "server":
            # Here it is on loopback, on any port; its database is in a folder of this machine.
            variables["MCENTER_SERVER_HOST"] = "127.0.0.1"
            variables["MCENTER_SERVER_DATABASE_URL"] = f"sqlite:///{folder / 'server.db'}"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        home = str(folder / name)
        (folder / name).mkdir(exist_ok=True)
        self.environ = {"PATH": path, "HOME": home, **variables}
        self.folder = home
        command = [*self.service.get("entrypoint", ["mcenter"]), *self.service["command"]]
        free = str(choose_ports({"server": None}, {})["server"])
        self.command = [free if word == "3456" else word for word in command]

    def run(self, exit_code: int = 0) -> str:
        done = subprocess.run(
            self.command, env=self.environ, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def healthy(self) -> bool:
        kind, *command = self.service["healthcheck"]["test"]
        assert kind == "CMD"
        command = [word.replace("9464", str(self.port)) for word in command]
        return subprocess.run(command, env=self.environ, capture_output=True, check=False).returncode == 0


def test_every_variable_is_a_setting_and_changes_it(local: LocalStack, tmp_path: Path):
    for name in OURS:
        environ = {key: value for key, value in Container(name, local).environ.items() if "MCENTER" in key}
        for variable, value in environ.items():
            if variable not in IMAGE_VARIABLES:
                changed = load_settings({variable: value}, folder=tmp_path)
                assert changed != load_settings({}, folder=tmp_path) or value in {"9000", "127.0.0.1"}, (
                    variable
                )


def test_the_commands_run_as_they_stand_there(local: LocalStack):
    assert "created mlops.statistics" in Container("setup", local).run()
    assert "all topics exist" in Container("setup", local).run(), "at the next start"
    services = [Container(name, local) for name in ("sink", "processors", "server")]
    running = [
        subprocess.Popen(each.command, env=each.environ, cwd=each.folder, stderr=subprocess.DEVNULL)
        for each in services
    ]
    try:
        for each in services:
            wait_for(lambda port=each.port: http_answers(port, "/ready"), each.command)
            assert each.healthy()
            assert http_answers(each.port, "/metrics")
        Container("component", local).run()
        reader = Container("component", local)
        reader.command = ["mcenter", "query", "--write", "CREATE TABLE t (a Int8) ENGINE = Memory"]
        assert "this user may only read" in reader.run(exit_code=1)
        with clickhouse_client(local.settings.clickhouse) as client:
            wait_for(lambda: client.execute("SELECT name, value FROM statistics") == [("rows", 1200.0)])
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(DEADLINE_S) for process in running] == [0, 0, 0]


def test_the_reading_user_is_made_as_the_manual_says():
    script = (ROOT / "examples" / "compose" / "create-reader.sh").read_text()
    assert subprocess.run(("/bin/sh", "-n"), input=script, text=True, check=False).returncode == 0
    manual = "".join(page.read_text() for page in sorted((ROOT / "docs").glob("**/*.md")))
    grants = re.findall(r"^GRANT .* TO reader;$", script, re.MULTILINE)
    assert len(grants) == 2
    assert all(grant in manual for grant in grants)
