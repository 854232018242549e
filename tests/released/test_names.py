"""What users depend on stays: names of every kind, and files that databases and topics have seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from tests.released import names, names_of_words
from tests.released.snapshot import ARCHIVES, WRITE, check, is_released, write_released

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from parallelm.connections import Settings

KINDS = [
    names.topics,
    names.schemas,
    names.golden_files,
    names.settings,
    names.commands,
    names.exit_codes,
    names_of_words.metrics,
    names_of_words.words,
    names_of_words.problems,
    names_of_words.original_calls,
    names_of_words.roles,
    names_of_words.distribution,
    names.access,
    names.definition_keys,
    names.library,
    names.migrations,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_names_are_those_that_were_committed(kind: Callable[[], dict[str, str]]) -> None:
    check(kind.__name__, kind())


def test_tables_views_and_columns_are_those_that_were_committed(tables: Settings) -> None:
    check("tables", names.tables(tables))


COMMITTED = {"agents": "8 partitions", "alerts": "8 partitions"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a snapshot."""
    monkeypatch.setenv(WRITE, "1")
    check("topics", COMMITTED, tmp_path, Version("0.9.0"), tmp_path)
    monkeypatch.delenv(WRITE)
    return tmp_path


@pytest.mark.parametrize("version", ["0.1.0", "1.0.0"])
@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"agents": "8 partitions"}, r"removed: alerts \(8 partitions\)$"),
        (
            COMMITTED | {"alerts": "9 partitions"},
            r"changed: alerts was \(8 partitions\), is \(9 partitions\)$",
        ),
        (COMMITTED | {"runs": "8 partitions"}, r"MCENTER_WRITE_GOLDEN=1 .*\nnew: runs \(8 partitions\)$"),
    ],
    ids=["removed", "changed", "new"],
)
def test_every_difference_is_told(folder: Path, now: dict[str, str], told: str, version: str) -> None:
    check("topics", COMMITTED, folder, Version(version), folder)
    with pytest.raises(AssertionError, match=told):
        check("topics", now, folder, Version(version), folder)


def test_before_the_first_release_a_snapshot_is_written_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = {"alerts": "9 partitions"}
    monkeypatch.setenv(WRITE, "1")
    check("topics", now, folder, Version("0.9.0"), folder)
    monkeypatch.delenv(WRITE)
    check("topics", now, folder, Version("1.0.0"), folder)


def test_from_the_first_release_on_it_only_grows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WRITE, "1")
    with pytest.raises(AssertionError, match=r"take the change back(.*\n)+removed: agents"):
        check("topics", {"runs": "8 partitions"}, folder, Version("1.0.0"), folder)
    check("topics", COMMITTED | {"runs": "8 partitions"}, folder, Version("1.0.0"), folder)
    monkeypatch.delenv(WRITE)
    check("topics", COMMITTED | {"runs": "8 partitions"}, folder, Version("1.0.0"), folder)


@pytest.mark.parametrize(
    "left", [None, "{}", '{"agents": "8 partitions"}'], ids=["deleted", "emptied", "cut"]
)
def test_names_of_a_release_are_not_thawed_by_their_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, left: str | None
) -> None:
    write_released(Version("1.0.0"), folder, folder)
    path = folder / "topics.json"
    path.unlink() if left is None else path.write_text(left)
    monkeypatch.setenv(WRITE, "1")
    with pytest.raises(AssertionError, match=r"take the change back(.*\n)+removed: alerts"):
        check("topics", {"agents": "8 partitions"}, folder, Version("1.0.1"), folder)
    check("topics", COMMITTED | {"runs": "8 partitions"}, folder, Version("1.0.1"), folder)
    check("kinds that are new", {"one": "of them"}, folder, Version("1.0.1"), folder)


def test_every_release_has_left_its_names() -> None:
    assert {path.name.removesuffix(".tar.xz") for path in ARCHIVES.glob("*.tar.xz")} == {
        path.name.removesuffix(".names.json") for path in ARCHIVES.glob("*.names.json")
    }


@pytest.mark.parametrize(
    ("version", "released"),
    [("0.1.0", False), ("1.0.0rc1", False), ("1.0.0", True), ("1.1.0.dev0", True), ("2.0.0", True)],
)
def test_names_are_frozen_from_the_first_release_on(version: str, *, released: bool) -> None:
    assert is_released(Version(version)) is released
