"""Whether this tree can be released: what a tag will have is what is tried, and it has all that a release leaves.

``make release-check`` asks it first: ``python -m tests.released.ready`` ends with every reason against it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.released.snapshot import ARCHIVES, FIRST_RELEASE, REPOSITORY, current_version, is_released

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from packaging.version import Version

UNRELEASED: Final = "unreleased"
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def headings() -> dict[str, str]:
    """What the changelog says of each version: its date, or that it is to come."""
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    return dict(re.findall(r"^## \[(\d[^]]*)\] - (.*)$", text, re.MULTILINE))


def wrong_headings(version: Version, found: Mapping[str, str]) -> list[str]:
    """Why the changelog does not agree with the version of the tree; what is to come has a heading without date."""
    released = is_released(version)
    coming = version.base_version if released else str(FIRST_RELEASE)
    wrong = []
    for each in dict.fromkeys([coming, *found]):
        said = found.get(each, "nothing")
        if each == coming and (version.is_prerelease or not released):
            right, form = said == UNRELEASED, UNRELEASED
        else:
            right, form = bool(_DAY.fullmatch(said)), "a date such as 2026-12-01"
        if not right:
            wrong.append(
                f"CHANGELOG.md: the heading of {each} says {said}, at version {version} it is {form}"
            )
    return wrong


def reasons_against(
    version: Version, found: Mapping[str, str], changed: Collection[str], committed: Collection[str]
) -> list[str]:
    """Why a tree of this version is not released: its changelog, what git calls changed, and the files that git has."""
    reasons = []
    if version.is_prerelease or not is_released(version):
        reasons.append(
            f"pyproject.toml: version {version} is not that of a release; {FIRST_RELEASE} is the first, "
            "and 1.1.0.dev0 comes before 1.1.0"
        )
    else:
        reasons += wrong_headings(version, found)
        left = [
            (ARCHIVES / f"{version}.{what}").relative_to(REPOSITORY).as_posix()
            for what in ("tar.xz", "names.json")
        ]
        reasons += [
            f"{each} is not committed: make it with `python -m tests.released.data_folder`, and commit it"
            for each in left
            if each not in committed
        ]
    if changed:
        shown = ", ".join(sorted(changed)[:5]) + (" …" if len(changed) > 5 else "")
        reasons.append(f"git has {len(changed)} changed or untracked files, which no tag would have: {shown}")
    return reasons


def _git(*arguments: str) -> list[str]:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True, text=True)
    return done.stdout.splitlines()


def main() -> None:
    """End with the reasons against a release; say what is released where there are none."""
    version = current_version()
    changed = [line[3:] for line in _git("status", "--porcelain", "--untracked-files=all")]
    reasons = reasons_against(version, headings(), changed, _git("ls-files"))
    if reasons:
        sys.exit("no release:\n" + "\n".join(f"- {reason}" for reason in reasons))
    sys.stdout.write(f"{version} at {_git('rev-parse', 'HEAD')[0]}\n")


if __name__ == "__main__":
    main()
