"""What programs write: much, without line ends, not text, on a full disk."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest

from parallelm.agent.keeping.log_reader import LogReader
from parallelm.agent.keeping.log_writer import LONGEST_LINE, LogWriter, OutputLines
from tests.agent.keeping.kept_runs import lines_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agent.keeping.kept_runs import Host

FILLER = """
import os, time
filler = os.open({path!r}, os.O_WRONLY | os.O_CREAT)
try:
    while True:
        os.write(filler, b"x" * 4096)
except OSError:
    print("unheard", flush=True)
time.sleep(0.3)
os.ftruncate(filler, 0)
time.sleep(1.2)
print("heard")
"""
_LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if _LIBC.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=1m"):
        pytest.fail(f"this test mounts a tmpfs, which needs root: {os.strerror(ctypes.get_errno())}")
    yield folder
    _LIBC.umount2(os.fsencode(folder), 2)


def test_much_output_keeps_its_last_lines_on_bounded_space(host: Host):
    program = "import sys; [sys.stdout.write(f'line {n} ' + 'x' * 80 + '\\n') for n in range(1_000_000)]"
    ending = host.ending(run := host.start(program, log_bytes=2_000_000))

    assert ending.outcome == "succeeded"
    lines = lines_of(run)
    assert lines[-1].number == 1_000_000
    assert lines[-1].text.startswith("line 999999 ")
    assert [line.number for line in lines] == list(range(lines[0].number, 1_000_001))
    assert sum(path.stat().st_size for path in run.logs.iterdir()) < 2_000_000 + 2 * 1_500_000


def test_output_without_line_ends_and_not_text_is_cut_and_shown(host: Host):
    program = "import os; os.write(1, b'a' * 100_000 + b'\\n' + bytes(range(256)) + b'end'); os.write(2, b'last words')"
    host.ending(run := host.start(program))

    texts = texts_of(run)
    assert "".join(texts[:4]) == "a" * 100_000
    assert all(len(text) <= LONGEST_LINE for text in texts)
    assert texts[-1].endswith("\\xffend")
    assert texts_of(run, "stderr") == ["last words"]


def test_a_full_disk_drops_lines_and_not_the_program(small_disk: Path, host: Host):
    run = host.accept()
    run.logs.rmdir()
    run.logs.symlink_to(small_disk)
    host._runs -= 1
    program = FILLER.format(path=str(small_disk / "filler"))
    ending = host.ending(host.start(program))

    assert ending.outcome == "succeeded"
    assert ending.message == "the disk did not take 1 lines of its log"
    assert [(line.number, line.text) for line in lines_of(run)] == [(2, "heard")]


@pytest.mark.parametrize("seed", range(5))
def test_a_reader_finds_its_place_in_any_segment(tmp_path: Path, seed: int):
    import random

    chance = random.Random(seed)
    log = LogWriter(str(tmp_path), 40_000, 1000)
    output = OutputLines(log, b"o", "step")
    written = "".join(f"{number} {'x' * chance.randrange(90)}\n" for number in range(1, 801)).encode()
    at, seen, reader = 0, [], LogReader(tmp_path)
    while at < len(written):
        size = chance.randrange(1, 3000)
        output.feed(written[at : at + size])
        at += size
        if chance.random() < 0.3:
            reader.close()
            reader = LogReader(tmp_path, reader.next_line)  # a restart
        seen += reader.read(chance.randrange(1, 60))
    log.close()
    while more := reader.read(50):
        seen += more

    reader.close()
    assert all(line.text.split()[0] == str(line.number) for line in seen)
    assert seen[-1].number == 800
    assert len(seen) == len({line.number for line in seen})
