"""Environment variables that begin with ``MCENTER_``: no mistake in a name is passed over."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from parallelm.connections import ConfigurationError, Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "connections",
    "schemas",
    "producers",
    "stream_processors",
    "sinks",
    "warehouse",
    "supervision",
    "agent",
    "mcenter",
)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("MCENTER_KAFKA_BOOTSTRAP_SERVER", "MCENTER_KAFKA_BOOTSTRAP_SERVERS"),
        ("MCENTER_COMPONENT_SPOOL_FODLER", "MCENTER_COMPONENT_SPOOL_FOLDER"),
        ("MCENTER_KAFKA__BOOTSTRAP_SERVERS", "MCENTER_KAFKA_BOOTSTRAP_SERVERS"),
        ("MCENTER_CLICKHOUSE_PASSWD", "MCENTER_CLICKHOUSE_PASSWORD"),
        ("MCENTER_REGISTRY_URL", "MCENTER_SCHEMA_REGISTRY_URL"),
        ("MCENTER_EVENTTIME", "MCENTER_EVENT_TIME"),
        ("MCENTER_CONF", "MCENTER_CONFIG"),
        ("mcenter_clickhouse_host", "MCENTER_CLICKHOUSE_HOST"),
    ],
)
def test_a_misspelt_variable_is_an_error_with_the_nearest_name(
    tmp_path: Path, name: str, nearest: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} is not a setting; did you mean {nearest}\?$"):
        load_settings({name: "x"}, folder=tmp_path)


def test_all_mistakes_are_named_at_once_and_a_strange_name_gets_no_guess(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings({"MCENTER_QQQQQQ": "", "MCENTER_KAFKA_TOPICPREFIX": "x"}, folder=tmp_path)
    assert str(raised.value) == (
        "MCENTER_KAFKA_TOPICPREFIX is not a setting; did you mean MCENTER_KAFKA_TOPIC_PREFIX?; "
        "MCENTER_QQQQQQ is not a setting"
    )


def test_names_of_others_are_left_alone(tmp_path: Path) -> None:
    others = {
        "MCENTER_X_ANYTHING": "1",
        "MCENTERPRISE": "1",
        "KAFKA_BOOTSTRAP_SERVER": "x",
        "MCENTER_SERVICE_HOST": "10.0.0.1",
        "MCENTER_KAFKA_SERVICE_HOST": "10.0.0.1",
        "MCENTER_KAFKA_SERVICE_PORT": "9092",
        "MCENTER_KAFKA_SERVICE_PORT_CLIENTS": "9092",
        "MCENTER_KAFKA_PORT": "tcp://10.0.0.1:9092",
        "MCENTER_KAFKA_PORT_9092_TCP": "tcp://10.0.0.1:9092",
        "MCENTER_KAFKA_PORT_9092_TCP_ADDR": "10.0.0.1",
        # Kubernetes sets this one for a service named mcenter-clickhouse.
        "MCENTER_CLICKHOUSE_PORT": "tcp://10.0.0.2:9000",
    }
    assert load_settings(others, folder=tmp_path) == Settings()


def test_every_variable_that_the_code_reads_is_in_the_catalogue(tmp_path: Path) -> None:
    found = set()
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            found |= set(re.findall(r"[\"']?(MCENTER_[A-Z]+(?:_[A-Z]+)*)\b(?!_)", file.read_text()))
    assert "MCENTER_READY_FILE" in found
    assert {name for name in found if _refused(name, tmp_path)} == set()


def _refused(name: str, folder: Path) -> bool:
    try:
        load_settings({name: "1"}, folder=folder)
    except ConfigurationError as error:
        return "is not a setting" in str(error)
    return False


def test_a_component_is_warned_once_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    environ = {"MCENTER_COMPONENT_SPOOL_FODLER": str(tmp_path)}
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert load_settings(environ, folder=tmp_path, unknown_variables="warn") == Settings()
    [record] = caplog.records
    assert "did you mean MCENTER_COMPONENT_SPOOL_FOLDER?; it is ignored" in record.getMessage()


def test_a_stand_alone_component_is_warned_too(tmp_path: Path) -> None:
    program = "from parallelm.mlops import mlops\nfor _ in range(2): mlops.init(); mlops.done()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=_environment() | {"MCENTER_EVENT_TIM": "2020-01-01"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("MCENTER_EVENT_TIM is not a setting; did you mean MCENTER_EVENT_TIME?") == 1


@pytest.mark.parametrize(
    "command",
    [
        ("parallelm.mcenter", "down"),
        ("parallelm.mcenter", "topics", "list"),
        ("parallelm.mcenter", "sink"),
        ("parallelm.mcenter.engine", "--data", "data", "--port", "1"),
    ],
)
def test_commands_and_services_end_with_the_nearest_name(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = _run(tmp_path, *command)
    assert done.returncode == 2
    assert "MCENTER_KAFKA_BOOTSTRAP_SERVER is not a setting; did you mean MCENTER_KAFKA_BOOT" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_and_the_doctor_are_there_all_the_same(tmp_path: Path) -> None:
    assert _run(tmp_path, "parallelm.mcenter", "topics", "list", "--help").returncode == 0
    found = _run(tmp_path, "parallelm.mcenter", "doctor")
    assert re.search(r"problem +settings .*\n.*MCENTER_KAFKA_BOOTSTRAP_SERVER is not a setting", found.stdout)


def _run(folder: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=_environment() | {"MCENTER_KAFKA_BOOTSTRAP_SERVER": "127.0.0.1:1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("MCENTER_", "PM_"))}
