"""Renames in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.connections.artifacts.renames import exchange, rename_to_free

if TYPE_CHECKING:
    from pathlib import Path


def test_an_exchange_is_refused_as_an_error_where_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "none")


def test_a_file_and_a_folder_change_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("f")
    (tmp_path / "folder").mkdir()
    assert exchange(tmp_path / "file", tmp_path / "folder")
    assert (tmp_path / "folder").read_text() == "f"
    assert (tmp_path / "file").is_dir()


@pytest.mark.parametrize("has_call", [True, False])
def test_a_name_that_is_taken_is_not_renamed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_call: bool
) -> None:
    if not has_call:
        monkeypatch.setattr("parallelm.connections.artifacts.renames._renamed", lambda *_, **__: False)
    (tmp_path / "one").write_text("1")
    (tmp_path / "link").symlink_to("nowhere")
    for taken in ("link", "one"):
        with pytest.raises(FileExistsError):
            rename_to_free(tmp_path / "one", tmp_path / taken)
    rename_to_free(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_text() == "1"
