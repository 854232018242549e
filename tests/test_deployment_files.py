"""The example files for Kubernetes, systemd and Prometheus: valid, and about commands, settings and metrics that exist."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from parallelm.connections import load_settings
from parallelm.connections.variables import NOT_SETTINGS
from parallelm.mcenter.cli import cli

EXAMPLES = Path(__file__).parent.parent / "examples"
MANIFESTS: list[dict[str, Any]] = list(
    YAML(typ="safe").load_all((EXAMPLES / "kubernetes" / "mcenter.yaml").read_text())
)
UNITS = sorted((EXAMPLES / "systemd").glob("*.service"))
RULES = YAML(typ="safe").load((EXAMPLES / "monitoring" / "prometheus-rules.yml").read_text())["groups"]


def check_command(words: list[str]) -> None:
    """Whether ``mcenter WORDS`` would be taken; nothing runs."""
    command: click.Command = cli
    context = click.Context(cli, info_name="mcenter")
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
    command.make_parser(context).parse_args(args=list(words))


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda found: f"{found['kind']} {found['metadata']['name']}"
)
def test_a_manifest_is_valid_by_the_schema_of_kubernetes(manifest: dict[str, Any]):
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_the_containers_run_commands_that_exist_and_no_root():
    pods = [each["spec"]["template"]["spec"] for each in MANIFESTS if "template" in each.get("spec", {})]
    containers = [each for pod in pods for each in (*pod.get("initContainers", ()), *pod["containers"])]
    assert len(containers) == 6
    for container in containers:
        check_command(container["args"])
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for pod in pods for volume in pod["volumes"]}
    assert all(pod["securityContext"]["runAsNonRoot"] for pod in pods)


def test_the_settings_of_the_manifests_can_be_read(tmp_path: Path):
    (text,) = (each["data"]["mcenter.toml"] for each in MANIFESTS if each["kind"] == "ConfigMap")
    for name in ("kafka_password", "clickhouse_password", "server_database_url"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "mcenter.toml").write_text(text.replace("/secrets", str(tmp_path)))
    settings = load_settings({}, file=tmp_path / "mcenter.toml")
    assert settings.kafka.sasl_password == "kafka_password"  # noqa: S105
    assert settings.clickhouse.secure


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.stem)
def test_a_unit_starts_a_command_that_exists_with_variables_that_exist(file: Path):
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(file.read_text())
    assert set(unit.sections()) == {"Unit", "Service", "Install"}
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert program == "/opt/mcenter/bin/mcenter"
    check_command(words)
    variables = re.findall(r"^Environment=(MCENTER_\w+)=", file.read_text(), re.MULTILINE)
    assert variables
    assert set(variables) <= set(NOT_SETTINGS)


def test_every_metric_of_the_alert_rules_exists_with_the_labels_that_they_use():
    program = """
import prometheus_client, json
from parallelm.sinks import SinkMetrics
import parallelm.stream_processors.runtime.metrics, parallelm.stream_processors.notifications.edge.metrics
SinkMetrics()
print(json.dumps({family.name + "_total" * (family.type == "counter"): family.documentation
    for family in prometheus_client.REGISTRY.collect()}))
"""
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    rules = [rule for group in RULES for rule in group["rules"]]
    names = {name for rule in rules for name in re.findall(r"mcenter_\w+", rule["expr"])}
    assert names
    assert all(f'"{name}"' in done.stdout for name in names), names
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "what_to_do"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_image_has_what_the_store_of_models_of_the_manifests_needs():
    [settings] = [each["data"]["mcenter.toml"] for each in MANIFESTS if each["kind"] == "ConfigMap"]
    store = tomllib.loads(settings)["artifacts"]["url"]
    package = {"s3": "s3fs"}[store.partition("://")[0]]
    assert package in (EXAMPLES.parent / "Dockerfile").read_text().split()
