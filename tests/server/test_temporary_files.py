"""What a server leaves among the temporary files of its host."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from parallelm.server.temporary_files import own_temporary_folder

_SERVER = """
import sys, tempfile
from parallelm.server.temporary_files import own_temporary_folder
with own_temporary_folder() as folder:
    with tempfile.NamedTemporaryFile(prefix="import-", delete=False) as upload:
        upload.write(b"half of a capture")
    print(folder, upload.name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _begun(place: Path, stack: ExitStack) -> tuple[subprocess.Popen[str], Path]:
    """A process that has written a file into its folder, and the folder."""
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            env={"TMPDIR": str(place)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(process.kill)
    assert process.stdout
    folder, upload = (Path(each) for each in process.stdout.readline().split())
    assert upload.parent == folder
    return process, folder


def test_what_a_killed_server_left_goes_when_the_next_one_starts_and_nothing_else(place: Path):
    others = [place / "mcenter-other", place / "mcenter-server-notes.txt", place / "mcenter-server-link"]
    others[0].mkdir()
    others[1].touch()
    others[2].symlink_to(others[0])
    with ExitStack() as stack:
        killed, left = _begun(place, stack)
        killed.kill()
        killed.wait()
        assert list(left.iterdir())
        _, in_use = _begun(place, stack)
        assert not left.exists()
        with own_temporary_folder() as own:
            assert list(in_use.iterdir()), "it is of a server that still runs"
            assert tempfile.gettempdir() == str(own)
            assert own.stat().st_mode & 0o077 == 0
        assert not own.exists()
        assert tempfile.gettempdir() == str(place)
    assert all(each.exists() for each in others)


def test_a_server_that_ends_leaves_nothing(place: Path):
    with ExitStack() as stack:
        process, folder = _begun(place, stack)
        process.communicate(timeout=120)
        assert not folder.exists()
