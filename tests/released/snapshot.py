"""What users depend on, as it was when it was committed: one file of ``names/`` a kind, each name with its form.

``MCENTER_WRITE_GOLDEN=1`` writes the files again. From version 1.0 on they are append-only: what a released version has is
neither removed nor changed, and a file that is missing is not written anew.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "names"
FIRST_RELEASE = Version("1.0.0")
WRITE = "MCENTER_WRITE_GOLDEN"


def current_version() -> Version:
    """Of this tree, which an environment that was installed earlier need not know."""
    return Version(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"])


def is_released(version: Version) -> bool:
    """Whether names are frozen at this version of the tree."""
    return version >= FIRST_RELEASE


def lost(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """A line on each name that was removed or changed."""
    return [
        f"removed: {name} ({form})" if name not in now else f"changed: {name} was ({form}), is ({now[name]})"
        for name, form in before.items()
        if now.get(name) != form
    ]


def added(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """A line on each new name."""
    return [f"new: {name} ({form})" for name, form in now.items() if name not in before]


def check(kind: str, now: Mapping[str, str], folder: Path = FOLDER, version: Version | None = None) -> None:
    """Raise ``AssertionError`` where the snapshot of a kind differs, with every difference and what to do; or write it."""
    path = folder / f"{kind}.json"
    frozen = is_released(version or current_version())
    if frozen and not path.exists():
        raise AssertionError(
            f"{path} is missing, and users of a released version depend on what it had; take it back from git. "
            "The file of a new kind of names begins as {}"
        )
    before: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    broken, new = lost(before, now), added(before, now)
    if broken and frozen:
        raise AssertionError(
            f"{kind}: users of a released version depend on these; take the change back, and add a new name "
            "beside the old one:\n" + "\n".join(broken)
        )
    if os.environ.get(WRITE):
        path.write_text(json.dumps(dict(sorted(now.items())), indent=0, ensure_ascii=False) + "\n", "utf-8")
    elif broken or new:
        raise AssertionError(
            f"{kind}: names differ from {path.name}; if that is meant, run this test with {WRITE}=1 and "
            "commit the file:\n" + "\n".join(broken + new)
        )
