"""Locks on files stay with the process that took them, whatever other threads do while it forks."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops._delivery.file_lock import FileLock, remove_unused

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
from parallelm.mlops._delivery.file_lock import FileLock

folder, held, children = Path(sys.argv[1]), [], []

def take():
    for number in range(400):
        while len(children) <= number // 20:
            os.sched_yield()
        lock = FileLock(folder / f"{number}.lock")
        assert lock.acquire()
        held.append(lock)

thread = threading.Thread(target=take)
thread.start()
here, there = os.pipe()
while thread.is_alive():
    child = os.fork()
    if child == 0:
        os.write(there, b"x")
        signal.pause()
    children.append(child)
for lock in held:
    os.close(lock._descriptor)  # as the system does when the process is killed
for _ in children:
    os.read(here, 1)  # a child that has begun has closed its copies
still_held = [path.name for path in folder.iterdir() if not FileLock(path).acquire()]
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(len(children) > 1, still_held)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_that_is_forked_while_a_thread_takes_a_lock_does_not_hold_it(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout == "True []\n"


def test_a_lock_that_its_holder_removed_meanwhile_is_taken_on_the_file_that_others_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.lock"
    former, mine, another = FileLock(path), FileLock(path), FileLock(path)
    assert former.acquire()
    open_file = os.open

    def opened_and_then_removed(*arguments: Any) -> int:
        descriptor = open_file(*arguments)
        former.release(remove=True)
        return descriptor

    monkeypatch.setattr(os, "open", opened_and_then_removed)
    assert mine.acquire()
    monkeypatch.undo()
    assert not another.acquire()
    mine.release(remove=True)
    assert not any(tmp_path.iterdir())


def test_only_locks_of_what_is_gone_and_that_nobody_holds_are_removed(tmp_path: Path) -> None:
    for name in ("left", "needed", "held"):
        (tmp_path / f"{name}.lock").touch()
    held = FileLock(tmp_path / "held.lock")
    assert held.acquire()
    remove_unused(tmp_path, lambda name: name == "needed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["held.lock", "needed.lock"]
    held.release()
