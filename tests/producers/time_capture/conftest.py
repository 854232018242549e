from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.mlops import mlops
from tests.producers.time_capture.captures import whole_capture, write_tar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.mlops.time_capture import TimeCapture


@pytest.fixture
def capture(tmp_path: Path) -> Iterator[TimeCapture]:
    found = mlops.load_time_capture(write_tar(tmp_path / "capture.tar", whole_capture()))
    yield found
    found.done()
