"""``mcenter mlapps`` as an engineer types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from parallelm.connections import save_settings
from parallelm.mcenter.cli import cli

from .live import DEFINITION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from .live import Cluster


@pytest.fixture
def mlapp(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    save_settings(cluster.settings, tmp_path / "mcenter.toml")
    monkeypatch.setenv("MCENTER_CONFIG", str(tmp_path / "mcenter.toml"))
    return lambda *words, text=None: CliRunner().invoke(cli, ["mlapps", *words], input=text)


def test_a_file_is_applied_once_listed_and_shown(mlapp: Callable[..., Result], tmp_path: Path):
    file = tmp_path / "app.yaml"
    file.write_text(DEFINITION)
    assert mlapp("list").output.startswith("no MLApp is defined")
    assert mlapp("validate", str(file)).output.endswith("MLApp 'app' is valid: 2 nodes, 2 alert rules\n")
    assert mlapp("apply", str(file), "--who", "ann").output == "MLApp 'app' is now at version 1\n"
    assert (
        mlapp("apply", "-", text="# a comment\n" + DEFINITION).output
        == "MLApp 'app' is unchanged at version 1\n"
    )
    assert mlapp("apply", "-", text=DEFINITION.replace("0.5", "0.6")).output.endswith("at version 2\n")
    listed = json.loads(mlapp("list", "--format", "json").output)
    assert [(found["mlapp_id"], found["version"]) for found in listed] == [("app", 2)]
    assert "above: 0.6" in mlapp("show", "app").output
    unknown = mlapp("show", "nobody")
    assert unknown.exit_code == 1
    assert "there is no MLApp 'nobody'; there are: app" in unknown.output


def test_a_file_with_mistakes_is_refused_with_their_places(mlapp: Callable[..., Result], tmp_path: Path):
    file = tmp_path / "app.yaml"
    file.write_text(DEFINITION.replace("model_producer", "producer"))
    for command in ("validate", "apply"):
        result = mlapp(command, str(file))
        assert result.exit_code == 1
        assert f"{file}:3:23: nodes[0].type is 'producer'" in result.output
