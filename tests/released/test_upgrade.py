"""The data folder of every released version in the hands of this tree: all is found, and all goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.folder import upgraded_from
from parallelm.mcenter.local_stack.plan import remembered_ports
from parallelm.mcenter.local_stack.services import SERVER
from parallelm.sinks.pending import pending_inserts
from tests.released.data_folder import MLAPP, PASSWORD, USER, Platform, fill, pack, started, unpack
from tests.released.snapshot import ARCHIVES, FIRST_RELEASE, current_version, is_released
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

RELEASED = sorted(ARCHIVES.glob("*.tar.xz"))


def test_the_first_release_has_left_a_data_folder() -> None:
    assert not is_released(current_version()) or ARCHIVES / f"{FIRST_RELEASE}.tar.xz" in RELEASED, (
        "make it with `python -m tests.released.data_folder`, and commit it"
    )


@pytest.fixture(params=RELEASED or [None], ids=lambda archive: archive.name if archive else "this tree")
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Of each released version; of this tree while there is none."""
    if request.param:
        return request.param  # type: ignore[no-any-return]
    fill(tmp_path / "first" / "data")
    made = tmp_path / "made.tar.xz"
    pack(tmp_path / "first" / "data", made)
    return made


@pytest.mark.timeout(900)
def test_what_a_released_version_has_left_is_found_and_goes_on(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "moved" / "data"
    folder.parent.mkdir()
    answers = unpack(archive, folder)
    with LocalStack(folder, ("kafka", "clickhouse")) as stores:
        # What a migration asks of a broker that has just started with groups to load.
        assert pending_inserts(stores.admin_settings) == []
    with started(folder):
        assert not upgraded_from(folder)
        platform = Platform(folder)
        for relation, before in answers.items():
            now = platform.rows_of(relation, before["columns"])
            assert not [row for row in before["rows"] if row not in now], relation
        [alert] = platform.open_alerts()
        [capture] = platform.rows("captures", "list", "--mlapp", MLAPP)
        assert capture["state"] == "complete"
        [model] = platform.rows("models", "list", "--mlapp", MLAPP)
        downloaded = tmp_path / "model.txt"
        platform.mcenter(
            "models", "download", model["model_id"], "--mlapp", MLAPP, "--output", str(downloaded)
        )
        assert downloaded.read_text() == "trained at latency 0.9\n"
        url = f"http://127.0.0.1:{remembered_ports(folder)[SERVER]}"
        said = platform.mcenter("login", url, "--user", USER, typed=f"{PASSWORD}\n")
        assert f"commands act as {USER}" in said

        platform.train(0.1, "run", MLAPP, "train")
        wait_for(lambda: alert not in platform.open_alerts(), "the alert ends")
        assert len(platform.rows("models", "list", "--mlapp", MLAPP)) == 2
        assert len(platform.predicted()) == 2
        assert sorted(
            row["value"]
            for row in platform.rows_of("statistics", ["name", "value"])
            if row["name"] == "latency"
        ) == [0.1, 0.9]
