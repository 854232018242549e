"""Repair of deduplication logs, on folders made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.mcenter.engine.dedup_logs import Part, repair

if TYPE_CHECKING:
    from pathlib import Path


def _table(data: Path, parts: list[str], *logs: str) -> list[Path]:
    folder = data / "store" / "abc" / "abc-1"
    for part in [*parts, "deduplication_logs", "detached"]:
        (folder / part).mkdir(parents=True)
    files = [folder / "deduplication_logs" / f"deduplication_log_{n}.txt" for n in range(1, len(logs) + 1)]
    for file, text in zip(files, logs, strict=True):
        file.write_bytes(text.encode("latin-1"))
    return files


def test_lines_of_parts_that_exist_stay(tmp_path: Path):
    text = "1\tall_1_1_0\ttoken1\n1\tall_2_2_0\ttoken2\n2\tall_9_9_0\ttoken9\n"
    (file,) = _table(tmp_path, ["all_1_1_0", "all_2_2_0"], text)
    assert repair(tmp_path) == 0
    assert file.read_text() == text


def test_the_last_line_goes_in_place(tmp_path: Path):
    (file,) = _table(tmp_path, ["all_1_1_0"], "1\tall_1_1_0\ta\n1\tall_2_2_0\tb\n")
    inode = file.stat().st_ino
    assert repair(tmp_path) == 1
    assert file.read_text() == "1\tall_1_1_0\ta\n"
    assert file.stat().st_ino == inode


def test_a_line_in_the_middle_and_a_torn_one_go(tmp_path: Path):
    first, second = _table(
        tmp_path,
        ["202601_1_4_1", "202602_7_7_0_9"],
        "1\t202601_2_2_0\ta\n1\t202601_5_5_0\tb\n1\t202602_7_7_0\t\x85\xffc\n",
        "1\t202601_3_3_0\td\n1\t2026",
    )
    assert repair(tmp_path) == 2
    assert first.read_bytes() == b"1\t202601_2_2_0\ta\n1\t202602_7_7_0\t\x85\xffc\n"
    assert second.read_text() == "1\t202601_3_3_0\td\n"
    assert sorted(entry.name for entry in first.parent.iterdir()) == [
        "deduplication_log_1.txt",
        "deduplication_log_2.txt",
    ]
    assert repair(tmp_path) == 0


def test_a_folder_without_tables(tmp_path: Path):
    assert repair(tmp_path) == 0


@pytest.mark.parametrize(
    ("whole", "part", "covered"),
    [
        ("all_1_5_1", "all_3_3_0", True),
        ("all_1_5_1", "all_6_6_0", False),
        ("all_1_5_1", "202601_3_3_0", False),
        ("all_3_3_0_7", "all_3_3_0", True),
        ("all_3_3_0", "all_3_3_0_7", False),
        ("all_3_3_0", "all_3_3_1", False),
    ],
)
def test_which_parts_cover_which(whole: str, part: str, covered: bool):
    outer, inner = Part.of_name(whole), Part.of_name(part)
    assert outer is not None
    assert inner is not None
    assert outer.covers(inner) is covered


@pytest.mark.parametrize("name", ["tmp_insert_all_1_1_0", "detached", "all_1_1", "delete_tmp_all_1_1_0", "x"])
def test_other_folders_are_no_parts(name: str):
    assert Part.of_name(name) is None
