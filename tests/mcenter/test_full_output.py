"""A standard output without room: one line on the standard error, and exit code 1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments", [("schemas", "list"), ("schemas", "list", "--format", "json"), ("mlapp", "--help")]
)
def test_output_that_cannot_be_written_is_reported_in_one_line(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "parallelm.mcenter", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "mcenter: cannot write: No space left on device\n")
