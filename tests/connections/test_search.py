"""How the settings file and the stack's folder are found: as git finds its folder, and only what may be trusted."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from parallelm.connections import ConfigurationError, load_settings
from parallelm.connections.search import folders_upwards, local_stack_folder, settings_file

STRANGER = 54_321
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)


def test_the_nearest_folder_above_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "project" / "notebooks" / "drafts"
    below.mkdir(parents=True)
    stack = tmp_path / "project" / ".mcenter"
    stack.mkdir()
    (tmp_path / "mcenter.toml").write_text('[kafka]\ntopic_prefix = "far."\n')
    assert settings_file({}, below) == tmp_path / "mcenter.toml"
    (stack / "mcenter.toml").write_text('[kafka]\ntopic_prefix = "near."\n')
    assert settings_file({}, below) == stack / "mcenter.toml"
    monkeypatch.chdir(below)
    assert load_settings({}).kafka.topic_prefix == "near."
    (below.parent / "mcenter.toml").touch()
    assert settings_file({}) == below.parent / "mcenter.toml"
    assert local_stack_folder({}) == stack


def test_a_folder_without_a_stacks_marks_is_no_stack(tmp_path: Path) -> None:
    """A component keeps its outbox in ``~/.mcenter``."""
    (tmp_path / "below" / ".mcenter" / "outbox").mkdir(parents=True)
    (tmp_path / ".mcenter").mkdir()
    (tmp_path / ".mcenter" / "VERSION").write_text("1\n")
    assert local_stack_folder({}, tmp_path / "below") == tmp_path / ".mcenter"


def test_the_search_stays_on_its_file_system() -> None:
    """``/proc`` is always another one than ``/``."""
    assert list(folders_upwards(Path("/proc/self"))) == [Path("/proc/self"), Path("/proc")]


def test_in_a_folder_that_was_deleted_nothing_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert settings_file({}) is None
    assert local_stack_folder({}) is None


@as_root
@pytest.mark.parametrize("name", ["mcenter.toml", ".mcenter/mcenter.toml"])
def test_a_file_of_somebody_else_is_not_used_unless_it_is_named(tmp_path: Path, name: str) -> None:
    below = tmp_path / "below"
    below.mkdir()
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text('[kafka]\ntopic_prefix = "theirs."\n')
    os.chown(file, STRANGER, STRANGER)

    for folder in (tmp_path, below):
        with pytest.raises(ConfigurationError) as refused:
            load_settings({}, folder=folder)
        said = str(refused.value)
        assert re.match(
            rf"{re.escape(str(file))} belongs to user id {STRANGER}, not to you \(user root\)", said
        )
        assert said.endswith("name it in MCENTER_CONFIG")
    assert load_settings({"MCENTER_CONFIG": str(file)}).kafka.topic_prefix == "theirs."
    assert load_settings({"SUDO_UID": str(STRANGER)}, folder=below).kafka.topic_prefix == "theirs."


@as_root
def test_a_link_to_a_strangers_file_and_a_strangers_admin_file_are_not_used(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.toml"
    theirs.touch()
    os.chown(theirs, STRANGER, STRANGER)
    (tmp_path / "mcenter.toml").symlink_to(theirs)
    with pytest.raises(ConfigurationError, match="belongs to"):
        load_settings({}, folder=tmp_path)

    (tmp_path / "mcenter.toml").unlink()
    (tmp_path / "mcenter.toml").touch()
    admin = tmp_path / "mcenter.admin.toml"
    admin.touch()
    os.chown(admin, STRANGER, STRANGER)
    assert load_settings({}, folder=tmp_path)
    with pytest.raises(ConfigurationError, match=r"mcenter\.admin\.toml belongs to"):
        load_settings({}, folder=tmp_path, role="admin")


@as_root
def test_the_stack_of_somebody_else_must_be_named(tmp_path: Path) -> None:
    stack = tmp_path / ".mcenter"
    stack.mkdir()
    (stack / "mcenter.toml").touch()
    os.chown(stack / "mcenter.toml", STRANGER, STRANGER)
    with pytest.raises(ConfigurationError, match=rf"name it: --data {re.escape(str(stack))}"):
        local_stack_folder({}, tmp_path)
