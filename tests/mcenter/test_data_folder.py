"""Which stack a command means that names none: that of its folder, else the nearest above, as git finds its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from parallelm.mcenter.cli import cli
from parallelm.mcenter.stack_options import default_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: two folders below a project that has a stack."""
    (tmp_path / ".mcenter" / "run").mkdir(parents=True)
    (tmp_path / ".mcenter" / "VERSION").write_text("1\n")
    below = tmp_path / "notebooks" / "drafts"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    return below


@pytest.mark.parametrize("command", ["down", "status"])
def test_commands_mean_the_stack_above(below: Path, tmp_path: Path, command: str) -> None:
    assert f"no stack runs in {tmp_path}/.mcenter" in CliRunner().invoke(cli, [command]).output
    named = CliRunner().invoke(cli, [command, "--data", ".mcenter"]).output
    assert f"no stack runs in {below}/.mcenter" in named


def test_the_nearest_stack_wins_and_without_one_it_is_a_new_folder_here(below: Path, tmp_path: Path) -> None:
    assert default_folder() == tmp_path / ".mcenter"
    (below / ".mcenter").mkdir()
    (below / ".mcenter" / "VERSION").write_text("1\n")
    assert default_folder() == below / ".mcenter"
    (below / ".mcenter" / "VERSION").unlink()
    (tmp_path / ".mcenter" / "VERSION").unlink()
    assert default_folder() == below / ".mcenter"


@pytest.mark.usefixtures("below")
def test_up_says_that_it_starts_the_stack_above(tmp_path: Path) -> None:
    (tmp_path / ".mcenter" / "VERSION").write_text("999\n")
    said = CliRunner().invoke(cli, ["up", "--detach"]).output
    assert f"This is the stack of {tmp_path}; `--data .mcenter` makes another one here." in said
    assert "version '999'" in said


@pytest.mark.usefixtures("below")
def test_up_says_whose_data_it_takes_over(tmp_path: Path) -> None:
    (tmp_path / ".mcenter" / "VERSION").write_text("1\nmcenter-stream 0.0.9\nkafka 99.1.0\n")
    said = " ".join(CliRunner().invoke(cli, ["up", "--detach"]).output.split())
    assert f"{tmp_path}/.mcenter was last used by mcenter 0.0.9." in said
    assert "was last used by kafka 99.1.0, here is" in said
