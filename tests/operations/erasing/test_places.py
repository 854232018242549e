"""Files of models in a store whose folders have simpler names than MLApps."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallelm.connections import ArtifactSettings, Settings
from parallelm.connections.artifacts import artifact_url, local_path
from parallelm.operations.authors import Author
from parallelm.operations.components import STORE_FOLDER
from parallelm.operations.erasing.places import Captures, ModelFiles
from parallelm.schemas.well_known import UNVERIFIED_LOCAL_USER

ADA = Author("ada", UNVERIFIED_LOCAL_USER)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(artifacts=ArtifactSettings(url=tmp_path.as_uri()))


def put(settings: Settings, mlapp_id: str, model_id: str) -> Path:
    path = Path(local_path(artifact_url(settings.artifacts, mlapp_id, model_id, "m.bin")))
    path.parent.mkdir(parents=True)
    path.write_text("weights")
    return path


def test_all_files_of_an_mlapp_go_also_those_that_were_never_announced(settings: Settings):
    known, orphan, other = put(settings, "a", "m1"), put(settings, "a", "m2"), put(settings, "b", "m3")
    place = ModelFiles(settings, "a", ["m1"], ["b"])
    assert (place.count(), place.erase(ADA), place.count(), place.erase(ADA)) == (2, 2, 0, 0)
    assert (known.exists(), orphan.exists(), other.exists()) == (False, False, True)


def test_where_another_mlapp_has_the_same_folder_only_its_own_models_go(settings: Settings):
    ours, theirs = put(settings, "a b", "m1"), put(settings, "a_b", "m2")
    assert ours.parents[1] == theirs.parents[1]
    assert ModelFiles(settings, "a b", ["m1", "gone"], ["a_b"]).erase(ADA) == 1
    assert (ours.exists(), theirs.exists()) == (False, True)


@pytest.mark.parametrize("mlapp_id", ["captures", STORE_FOLDER])
def test_an_mlapp_that_is_called_like_a_folder_of_the_store_takes_nothing_else_along(
    settings: Settings, mlapp_id: str
):
    ours, theirs = put(settings, mlapp_id, "m1"), put(settings, mlapp_id, "of-all")
    assert ModelFiles(settings, mlapp_id, ["m1"], []).erase(ADA) == 1
    assert (ours.exists(), theirs.exists()) == (False, True)


def test_files_of_captures_without_records_go_too(settings: Settings, tmp_path: Path):
    for mlapp_id in ("a", "b"):
        (tmp_path / "captures" / mlapp_id).mkdir(parents=True)
        (tmp_path / "captures" / mlapp_id / "left.tar").write_text("rows")
    assert Captures(settings, "a").erase(ADA) == 0
    assert [path.name for path in (tmp_path / "captures").iterdir()] == ["b"]
