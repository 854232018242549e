"""What tests of keeping share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent.keeping.kept_runs import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host whose runs end with the test."""
    host = Host(tmp_path)
    yield host
    host.close()
