"""A data folder that cannot be used is refused before anything is started or written."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.folder import FolderLock, open_folder, stamp, upgraded_from
from parallelm.supervision.die_with_parent import killed_with_us

HOLD_THE_LOCK = """
import sys, time
from pathlib import Path
from parallelm.mcenter.local_stack.folder import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_folder_of_a_newer_version_is_refused(tmp_path: Path):
    open_folder(tmp_path)
    (tmp_path / "VERSION").write_text("2\n")

    with pytest.raises(StackError, match="has version '2', this mcenter knows up to 1"):
        open_folder(tmp_path)


def test_a_version_that_is_no_number_is_refused(tmp_path: Path):
    open_folder(tmp_path)
    (tmp_path / "VERSION").write_text("x" * 1000)

    with pytest.raises(StackError, match="has version 'xxx"):
        open_folder(tmp_path)


@pytest.mark.parametrize("program", ["mcenter-stream", "kafka", "chdb-core"])
def test_a_folder_that_a_newer_program_has_used_is_refused(tmp_path: Path, program: str):
    open_folder(tmp_path)
    stamped = (tmp_path / "VERSION").read_text()
    (tmp_path / "VERSION").write_text(
        re.sub(rf"^{program} .*$", f"{program} 99.0.1", stamped, flags=re.MULTILINE)
    )

    with pytest.raises(
        StackError, match=rf"was last used by {program} 99\.0\.1, here is .* use the newer mcenter"
    ):
        open_folder(tmp_path)


def test_a_fix_of_the_same_release_may_be_taken_back(tmp_path: Path):
    open_folder(tmp_path)
    fixed = re.sub(r"(\d+\.\d+)\.\d+\S*$", r"\1.999", (tmp_path / "VERSION").read_text(), flags=re.MULTILINE)
    assert fixed.count(".999") == 3
    (tmp_path / "VERSION").write_text(fixed)

    open_folder(tmp_path)
    assert upgraded_from(tmp_path) == ""


def test_a_folder_of_an_older_release_is_taken_and_told_of(tmp_path: Path):
    assert upgraded_from(tmp_path) == "", "a new folder"
    open_folder(tmp_path)
    (tmp_path / "VERSION").write_text("1\nmcenter-stream 0.0.9\nkafka 3.9.1\n")

    open_folder(tmp_path)
    assert upgraded_from(tmp_path) == "0.0.9"
    stamp(tmp_path)
    assert upgraded_from(tmp_path) == ""


@pytest.mark.parametrize("folder", [Path("/proc/mcenter"), Path("/dev/null/mcenter")])
def test_a_folder_that_cannot_be_written_is_refused(folder: Path):
    with pytest.raises(StackError, match=f"{folder} is not writable"):
        open_folder(folder)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()

    with pytest.raises(StackError, match="is not writable"):
        open_folder(tmp_path / "file")


def test_the_lock_names_its_holder_and_goes_with_it(tmp_path: Path):
    open_folder(tmp_path)
    lock = FolderLock(tmp_path)
    holder = subprocess.Popen(
        killed_with_us(sys.executable, "-c", HOLD_THE_LOCK, str(tmp_path)), stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        assert lock.holder() == holder.pid
        with pytest.raises(StackError, match=f"in use by the stack of pid {holder.pid}"):
            lock.acquire()
        assert lock.holder() == holder.pid
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()

    assert lock.holder() is None
    lock.acquire()
    lock.release()
