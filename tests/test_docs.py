"""The documentation is true: its programs run, its YAML is valid, its SQL answers, its tables are complete."""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import pytest

from parallelm.connections import Settings, load_settings, save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.settings import ENVIRONMENT_PREFIX, setting_names
from parallelm.definitions import parse_definition
from parallelm.definitions.components import ComponentForm, read_component
from parallelm.definitions.components.form import ArgumentForm
from parallelm.definitions.gates import GateForm, GatesForm
from parallelm.definitions.mlapp import MLAppForm, NodeForm
from parallelm.definitions.notifications import (
    TARGET_FORMS,
    InhibitForm,
    NotificationsForm,
    RateLimitForm,
    ReceiverForm,
    RouteForm,
)
from parallelm.definitions.parameters import ParameterForm
from parallelm.definitions.policies import POLICY_FORMS
from parallelm.definitions.policies.canary import CanaryMetricForm, CanaryOptionsForm
from parallelm.definitions.rules import RULE_FORMS
from parallelm.definitions.running import (
    InputForm,
    LogsForm,
    ModelDeliveryForm,
    ResourcesForm,
    RestartForm,
    RetryForm,
    ScheduleForm,
    StepForm,
    TriggerForm,
)
from parallelm.mcenter.cli import cli
from parallelm.stream_processors.notifications.edge.targets import read_rules
from tests.producers.time_capture.captures import whole_capture, write_tar
from tests.warehouse.rows import DAY_MS, T0_MS, insert, kpi, statistic

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
RULES_PAGE = DOCS / "alert-rules.md"
FENCED = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEXT_BLOCK = "\x1e"
"""Printed between the outputs of two blocks."""


class Block(NamedTuple):
    """One fenced block."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 2) for found in FENCED.finditer(text)
    ]


def of_language(page: Path, language: str) -> list[Block]:
    return [block for block in blocks(page) if block.language == language]


def program(page: Path) -> str:
    """All Python blocks of a page as one program, each at its own line."""
    lines: list[str] = []
    for block in of_language(page, "python"):
        lines += [""] * (block.line - 2 - len(lines))
        lines += [f"print({NEXT_BLOCK!r})", *block.text.splitlines()]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "name",
    [
        "report-from-your-component",
        "testing-your-component",
        "moving-from-the-original-library",
        "predictions-and-actuals",
    ],
)
def test_examples_run_stand_alone_and_print_what_the_page_says(name: str, tmp_path: Path) -> None:
    check_examples(DOCS / f"{name}.md", tmp_path)


def test_a_capture_is_read_as_the_page_says(tmp_path: Path) -> None:
    write_tar(tmp_path / "capture.tar", whole_capture())
    check_examples(DOCS / "timeline-captures.md", tmp_path)


def check_examples(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text(program(page))
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    printed = dict(zip(of_language(page, "python"), done.stdout.split(f"{NEXT_BLOCK}\n")[1:], strict=True))
    for block, after in pairwise(blocks(page)):
        if after.language == "text":
            assert without_times(printed[block]) == without_times(after.text), f"{page}:{after.line}"


def without_times(lines: str) -> list[str]:
    return [re.sub(r"^\d{19}, ", "<time>, ", line).rstrip() for line in lines.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_exist_with_their_options(page: Path) -> None:
    for line in commands(page):
        command: click.Command = cli
        arguments = shlex.split(line, comments=True)[1:]
        context = click.Context(cli, info_name="mcenter")
        while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
            name = arguments.pop(0)
            found = command.get_command(context, name)
            assert found is not None, f"{page}: {line}: no command {name}"
            command = found
        command.make_parser(context).parse_args(arguments)


def commands(page: Path) -> Iterator[str]:
    for block in of_language(page, "sh"):
        for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
            if line.startswith("mcenter "):
                yield line
    yield from (found for found in re.findall(r"`(mcenter [^`]+)`", page.read_text()) if "|" not in found)


def test_the_tables_of_rooms_are_what_the_import_rules_say() -> None:
    root = DOCS.parent
    rooms = re.findall(r"^ROOMS := (.*)$", (root / "Makefile").read_text(), re.MULTILINE)[0].split()
    assert set(rooms) <= set(re.findall(r"^\| `(\w+)/` \|", (root / "README.md").read_text(), re.MULTILINE))
    rows = re.findall(
        r"^\| `(\w+)/` \| `([\w.]+)` \|.*\| (.*) \|$", (DOCS / "architecture.md").read_text(), re.MULTILINE
    )
    packages = {package: room for room, package, _ in rows}
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    imports = {"mcenter": "all"} | {
        packages[rule["source_modules"][0]]: may_import(rule, packages)
        for rule in contracts
        if set(rule["forbidden_modules"]) < set(packages)
    }
    assert {room: cell for room, _, cell in rows} == {room: imports[room] for room in rooms}


def may_import(rule: dict[str, list[str]], packages: dict[str, str]) -> str:
    """The cell of an import rule: the rooms that it allows, and of forbidden ones the modules that it excepts."""
    excepted: dict[str, list[str]] = {}
    for edge in rule.get("ignore_imports", []):
        package, _, module = edge.partition(" -> ")[2].removesuffix(".**").rpartition(".")
        if module not in excepted.setdefault(packages[package], []):
            excepted[packages[package]].append(module)
    closed = {packages[package] for package in (*rule["source_modules"], *rule["forbidden_modules"])}
    whole = [room for room in packages.values() if room not in closed and room != "mcenter"]
    parts = [f"{room} ({', '.join(modules)})" for room, modules in excepted.items()]
    return ", ".join([*whole, *parts]) or "none"


def test_the_site_shows_every_page() -> None:
    navigation = (DOCS.parent / "mkdocs.yml").read_text()
    assert {page.name for page in PAGES} == set(re.findall(r"[\w-]+\.md", navigation.partition("\nnav:")[2]))


@pytest.mark.parametrize("name", ["mlapps-and-alert-rules", "alert-rules", "run-your-pipelines"])
def test_definitions_are_valid(name: str) -> None:
    page = DOCS / f"{name}.md"
    for block in of_language(page, "yaml"):
        if not block.text.startswith("name:"):  # of a component
            parse_definition(block.text, f"{page}:{block.line}")


def test_the_files_that_pages_show_and_name_are_there() -> None:
    mlapps = DOCS.parent / "examples" / "mlapps"
    texts = {file.read_text(): file for file in mlapps.rglob("*.yaml")}
    shown = [texts[block.text] for block in of_language(DOCS / "run-your-pipelines.md", "yaml")]
    assert "arguments" in {*read_component(shown[1].parent).form.model_fields_set}
    for page in (*PAGES, DOCS.parent / "README.md"):
        for name in re.findall(r"\bexamples/[\w./*-]*\w", page.read_text()):
            assert list(DOCS.parent.glob(name)), f"{page}: {name}"


def test_every_type_of_rule_has_its_section_with_an_example() -> None:
    sections = dict(
        re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RULES_PAGE.read_text(), re.MULTILINE | re.DOTALL)
    )
    assert set(sections) == set(RULE_FORMS)
    listed = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \|", RULES_PAGE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted((name, name) for name in RULE_FORMS)
    for name, text in sections.items():
        assert f"type: {name}\n" in text, f"no example of {name}"


def test_the_files_of_notifications_are_valid(tmp_path: Path) -> None:
    """With the checks of templates and targets that the notifier makes."""
    page = DOCS / "notifications.md"
    for number, block in enumerate(of_language(page, "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block.text)
        names = ("SMTP_PASSWORD", "HOOK_TOKEN")
        environ = dict.fromkeys(names, "x" * 9) | {"SLACK_TOKENS": f"{'T' * 9}/{'B' * 9}/{'x' * 24}"}
        rules = read_rules(file, environ)
        assert set(rules.receivers) == {"team", "on-call", "nobody"}


def test_every_key_of_a_file_of_notifications_is_listed() -> None:
    text = (DOCS / "notifications.md").read_text()
    tables = {name for line in text.splitlines() if line.startswith("| `") for name in keys(line)}
    forms = (NotificationsForm, RouteForm, ReceiverForm, RateLimitForm, InhibitForm, *TARGET_FORMS.values())
    assert tables == {field.alias or name for entry in forms for name, field in entry.model_fields.items()}


def test_every_key_of_a_definition_is_listed() -> None:
    text = (DOCS / "mlapps-and-alert-rules.md").read_text() + RULES_PAGE.read_text()
    text += (DOCS / "model-policy.md").read_text() + (DOCS / "run-your-pipelines.md").read_text()
    tables = {name for line in text.splitlines() if line.startswith("| `") for name in keys(line)}
    known = {
        field.alias or name
        for entry in (
            *(MLAppForm, NodeForm, *POLICY_FORMS.values(), *RULE_FORMS.values()),
            *(GateForm, GatesForm, CanaryMetricForm, CanaryOptionsForm),
            *(ScheduleForm, TriggerForm, StepForm, InputForm, ResourcesForm),
            *(
                RestartForm,
                RetryForm,
                ModelDeliveryForm,
                LogsForm,
                ComponentForm,
                ArgumentForm,
                ParameterForm,
            ),
        )
        for name, field in entry.model_fields.items()
    }
    assert tables == known


def keys(line: str) -> list[str]:
    return re.findall(r"`([^`]+)`", line.split("|")[1])


def test_every_setting_is_listed_with_its_default() -> None:
    documented = {
        name: default.strip().strip("`")
        for name, default in re.findall(
            r"^\| `(MCENTER_\w+)` \|([^|]*)\|", (DOCS / "settings.md").read_text(), re.MULTILINE
        )
    }
    settings = Settings()
    sections = [(section.name, getattr(settings, section.name)) for section in dataclasses.fields(settings)]
    assert documented == {
        f"{ENVIRONMENT_PREFIX}{name}_{setting}".upper(): as_text(getattr(section, setting))
        for name, section in sections
        for setting in setting_names(section)
    }


def as_text(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_the_settings_file_can_be_read(tmp_path: Path) -> None:
    (everybody,) = of_language(DOCS / "operate.md", "toml")
    of_users, admin, of_tls = of_language(DOCS / "access.md", "toml")
    file = tmp_path / "mcenter.toml"
    file.write_text(everybody.text)
    (tmp_path / "mcenter.admin.toml").write_text(admin.text)
    assert load_settings({}, file=file).kafka.sasl_mechanism == "SCRAM-SHA-512"
    assert load_settings({}, file=file).clickhouse.user == "reader"
    assert load_settings({}, file=file, role="admin").clickhouse.user == "mcenter"
    for number, block in enumerate((of_users, of_tls)):
        (tmp_path / "password").write_text("secret")
        named = tmp_path / f"access{number}.toml"
        named.write_text(re.sub(r"/run/secrets/\w+", str(tmp_path / "password"), block.text))
        settings = load_settings({}, file=named)
        assert "secret" in {settings.kafka.sasl_password, settings.clickhouse.password}


def test_every_metric_is_listed() -> None:
    program = """
import prometheus_client
from prometheus_client.registry import CollectorRegistry
from parallelm.agent.metrics import AgentMetrics
from parallelm.sinks import SinkMetrics
import parallelm.mcenter.engine.metrics, parallelm.stream_processors.runtime.metrics
import parallelm.stream_processors.notifications.edge.metrics, parallelm.server.metrics
SinkMetrics(), AgentMetrics(prometheus_client.REGISTRY)
for family in prometheus_client.REGISTRY.collect():
    print(family.name + "_total" * (family.type == "counter"))
"""
    served = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    documented = re.findall(r"^\| `(mcenter_\w+)`", (DOCS / "monitor.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(name for name in served.split() if name.startswith("mcenter_"))


@pytest.mark.usefixtures("tables")
def test_questions_are_answered(settings: Settings, tmp_path: Path) -> None:
    """Every SQL of the page, and its Python, on a warehouse that holds a month of one loss and one KPI."""
    page = DOCS / "query-and-analyse.md"
    days = [T0_MS + day * DAY_MS for day in range(40)]
    with clickhouse_client(settings.clickhouse) as client:
        waves = [math.sin(day) for day in range(len(days))]
        insert(
            client,
            "statistics",
            [statistic("loss", at, value) for at, value in zip(days, waves, strict=True)],
        )
        insert(
            client,
            "kpis",
            [kpi("on-time rate", at, 1 - value) for at, value in zip(days, waves, strict=True)],
        )
        for block in of_language(page, "sql"):
            client.execute(block.text)
        known = {name for (name,) in client.execute("SHOW TABLES")}
    machinery = {name for name in known if re.search(r"_log$|_state$|_arrays$|_from_", name)}
    assert set(listed_tables(page)) == known - machinery - {"schema_migrations", "schema_objects"}

    save_settings(settings, tmp_path / "mcenter.toml")
    script = tmp_path / "page.py"
    script.write_text(program(page))
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "loss" in done.stdout.split(NEXT_BLOCK)[-1]


def listed_tables(page: Path) -> list[str]:
    rows = re.findall(r"^\| (`.*?`) \|", page.read_text().partition("\n### ")[0], re.MULTILINE)
    return [re.match(r"\w+", name)[0] for row in rows for name in re.findall(r"`([^`]+)`", row)]
