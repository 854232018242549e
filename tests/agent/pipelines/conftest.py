"""What tests of pipelines share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent.pipelines.host import RunnerHost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Iterator[RunnerHost]:
    """A host whose runs end with the test."""
    host = RunnerHost(tmp_path)
    yield host
    host.close()
