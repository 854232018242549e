"""What a release says of itself agrees: version, changelog, classifiers; and what is no release is refused."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.version import Version

from tests.released.ready import UNRELEASED, headings, reasons_against, wrong_headings
from tests.released.snapshot import FIRST_RELEASE, REPOSITORY, current_version, is_released


def test_the_changelog_agrees_with_the_version() -> None:
    assert wrong_headings(current_version(), headings()) == []


RELEASED = {"1.0.0": "2026-12-01"}


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("0.1.0", {"1.0.0": "unreleased"}),
        ("1.0.0", RELEASED),
        ("1.0.1.dev0", {"1.0.1": "unreleased"} | RELEASED),
        ("1.1.0.dev3", {"1.1.0": "unreleased"} | RELEASED),
        ("1.1.0", {"1.1.0": "2027-01-01"} | RELEASED),
    ],
)
def test_from_one_release_to_the_next_the_changelog_says_what_is_to_come(
    version: str, found: dict[str, str]
) -> None:
    assert wrong_headings(Version(version), found) == []


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("0.1.0", RELEASED),
        ("1.0.0", {"1.0.0": "unreleased"}),
        ("1.1.0.dev0", RELEASED),
        ("1.1.0.dev0", {"1.1.0": "2027-01-01"} | RELEASED),
        ("1.1.0", {"1.1.0": "unreleased"} | RELEASED),
        ("1.1.0.dev0", {"1.1.0": "unreleased", "1.0.0": "unreleased"}),
    ],
)
def test_a_changelog_that_says_otherwise_is_told(version: str, found: dict[str, str]) -> None:
    [told] = wrong_headings(Version(version), found)
    assert told.startswith("CHANGELOG.md: the heading of 1.")


def test_the_classifiers_say_whether_it_is_released() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    status = "5 - Production/Stable" if is_released(current_version()) else "4 - Beta"
    assert f"Development Status :: {status}" in project["classifiers"]


def test_the_example_for_kubernetes_runs_the_last_release_or_the_first() -> None:
    manifests = (REPOSITORY / "examples" / "kubernetes" / "mcenter.yaml").read_text()
    (tag,) = set(re.findall(r"image: mcenter-stream:(\S+)", manifests))
    dated = [version for version, date in headings().items() if date != UNRELEASED]
    assert tag == max(dated, key=Version, default=str(FIRST_RELEASE))


ARCHIVE = "tests/released/data_folders/1.0.0.tar.xz"
NAMES = "tests/released/data_folders/1.0.0.names.json"


def test_what_is_complete_and_committed_is_released() -> None:
    assert reasons_against(Version("1.0.0"), RELEASED, [], [ARCHIVE, NAMES]) == []


@pytest.mark.parametrize("version", ["0.1.0", "1.0.0rc1", "1.1.0.dev0"])
def test_a_version_of_development_is_not_released(version: str) -> None:
    [reason] = reasons_against(Version(version), RELEASED, [], [ARCHIVE, NAMES])
    assert f"version {version} is not that of a release" in reason


def test_what_no_tag_would_have_is_not_released() -> None:
    reasons = reasons_against(Version("1.0.0"), {"1.0.0": "unreleased"}, ["README.md", ARCHIVE], [])
    assert [reason.split(":")[0] for reason in reasons] == [
        "CHANGELOG.md",
        f"{ARCHIVE} is not committed",
        f"{NAMES} is not committed",
        "git has 2 changed or untracked files, which no tag would have",
    ]
