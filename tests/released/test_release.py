"""What a release says of itself agrees: version, changelog, classifiers."""

from __future__ import annotations

import re
import tomllib

from tests.released.snapshot import FIRST_RELEASE, REPOSITORY, current_version, is_released


def test_the_changelog_has_what_is_released_with_its_date() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    headings = dict(re.findall(r"^## \[(\d[^]]*)\] - (.*)$", text, re.MULTILINE))
    version = current_version()
    if is_released(version):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", headings[version.base_version])
    else:
        assert headings == {str(FIRST_RELEASE): "unreleased"}


def test_the_classifiers_say_whether_it_is_released() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    status = "5 - Production/Stable" if is_released(current_version()) else "4 - Beta"
    assert f"Development Status :: {status}" in project["classifiers"]
