"""A log file does not fill the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.supervision.bounded_log import BoundedLog

if TYPE_CHECKING:
    from pathlib import Path


def test_a_log_keeps_the_newest_lines_within_twice_its_limit(tmp_path: Path):
    path = tmp_path / "kafka.log"
    log = BoundedLog(path, max_bytes=1000)
    for number in range(500):
        log.write(b"line %d\n" % number)
    log.close()

    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["kafka.log", "kafka.log.1"]
    assert sum(file.stat().st_size for file in files) < 2100
    assert path.read_bytes().endswith(b"line 499\n")
    assert (tmp_path / "kafka.log.1").read_bytes() + path.read_bytes() in b"".join(
        b"line %d\n" % number for number in range(500)
    )


def test_a_log_goes_on_where_it_ended(tmp_path: Path):
    path = tmp_path / "kafka.log"
    for text in (b"one\n", b"two\n"):
        log = BoundedLog(path)
        log.write(text)
        log.close()

    assert path.read_bytes() == b"one\ntwo\n"
