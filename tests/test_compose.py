"""docker-compose.yml speaks the settings and commands that the code has; no container engine is needed to see that."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner
from ruamel.yaml import YAML

from parallelm.connections import load_settings
from parallelm.mcenter.cli import cli, command_names

COMPOSE_FILE = Path(__file__).parent.parent / "docker-compose.yml"
COMPOSE = YAML(typ="safe").load(COMPOSE_FILE.read_text())


def test_every_variable_is_a_setting_and_changes_it(tmp_path: Path) -> None:
    for name, service in COMPOSE["services"].items():
        ours = {
            key: str(value)
            for key, value in service.get("environment", {}).items()
            if key.startswith("MCENTER_")
        }
        for variable, value in ours.items():
            assert load_settings({variable: value}, folder=tmp_path) != load_settings({}, folder=tmp_path), (
                name
            )


def test_every_command_exists() -> None:
    ours = re.findall(r"mcenter (\w+)", COMPOSE["services"]["setup"]["command"][2])
    ours += [COMPOSE["services"][name]["command"][1] for name in ("sink", "processors")]
    assert set(ours) <= set(command_names())
    for name in ours:
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0


def test_every_published_port_is_on_loopback() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
