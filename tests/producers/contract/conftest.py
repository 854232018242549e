"""The library opened stand-alone, and the lines that it prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.mlops import MLOps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MLOps]:
    for name in ("PM_MLOPS_MODE", "MCENTER_EVENT_TIME", "AGENT_PUBLIC_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PM_MLOPS_FILE", str(tmp_path / "lines"))
    found = MLOps()
    found.init()
    yield found
    if found.init_called:
        found.done()


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[], list[str]]:
    """What ``library`` has printed so far."""
    return lambda: (tmp_path / "lines").read_text().splitlines()
