"""What users depend on, as it was when it was committed: one file of ``names/`` a kind, each name with its form.

``MCENTER_WRITE_GOLDEN=1`` writes the files again. From version 1.0 on they are append-only: what a released version has is
neither removed nor changed. Each release leaves a copy of all of them, ``<version>.names.json`` beside its data folder, so
that a file of ``names/`` that was emptied, shortened or deleted gives nothing back.
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
ARCHIVES = Path(__file__).parent / "data_folders"
"""Of every release: the data folder that it leaves, and its names."""
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


def write_released(version: Version, folder: Path = FOLDER, archives: Path = ARCHIVES) -> Path:
    """Keep a copy of all names for a release."""
    kinds = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}
    path = archives / f"{version}.names.json"
    path.write_text(json.dumps(kinds, indent=0, ensure_ascii=False) + "\n", "utf-8")
    return path


def released_names(kind: str, archives: Path = ARCHIVES) -> dict[str, str]:
    """Names of a kind that any release had."""
    found: dict[str, str] = {}
    for path in archives.glob("*.names.json"):
        found |= json.loads(path.read_text("utf-8")).get(kind, {})
    return found


def check(
    kind: str,
    now: Mapping[str, str],
    folder: Path = FOLDER,
    version: Version | None = None,
    archives: Path = ARCHIVES,
) -> None:
    """Raise ``AssertionError`` where the snapshot of a kind differs, with every difference and what to do; or write it."""
    path = folder / f"{kind}.json"
    frozen = is_released(version or current_version())
    before: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    broken, new = lost(before, now), added(before, now)
    released = lost(released_names(kind, archives) | before, now) if frozen else []
    if released:
        raise AssertionError(
            f"{kind}: users of a released version depend on these; take the change back, and add a new name "
            "beside the old one:\n" + "\n".join(released)
        )
    if os.environ.get(WRITE):
        path.write_text(json.dumps(dict(sorted(now.items())), indent=0, ensure_ascii=False) + "\n", "utf-8")
    elif broken or new:
        raise AssertionError(
            f"{kind}: names differ from {path.name}; if that is meant, run this test with {WRITE}=1 and "
            "commit the file:\n" + "\n".join(broken + new)
        )
