"""CONTRIBUTING.md names files and folders that exist, and stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text()
PATHS = sorted(
    {
        name
        for name in re.findall(r"`([^`\s]+)`", PAGE)
        if "/" in name or re.search(r"\w\.(md|toml|py)$", name)
    }
    - {"mcenter.toml"}
)


@pytest.mark.parametrize("name", PATHS)
def test_a_named_file_or_folder_exists(name: str) -> None:
    pattern = re.sub(r"<\w+>", "*", name.replace("/…/", "/parallelm/*/"))
    assert list(REPOSITORY.glob(pattern.rstrip("/"))), name


def test_targets_of_make_exist() -> None:
    recipes = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([\w-]+)", PAGE)) <= recipes


def test_the_page_is_short_and_the_readme_links_to_it() -> None:
    assert len(PAGE.splitlines()) <= 150
    assert "(CONTRIBUTING.md)" in (REPOSITORY / "README.md").read_text()
