"""A small tmpfs that runs full, of bytes and of inodes, under a running engine."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver import errors

from tests.waiting import DEADLINE_S

from .conftest import EngineProcess, running_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clickhouse_driver import Client

STORAGE_FAILED_EXIT = 74
TABLE = (
    "CREATE TABLE t (block UInt32, n UInt64, filler String CODEC(NONE)) ENGINE = MergeTree ORDER BY n"
    " SETTINGS non_replicated_deduplication_window = 1000"
)
libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options.encode()):
            pytest.fail(f"this test mounts a tmpfs, which needs root: {os.strerror(ctypes.get_errno())}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        assert libc.umount2(os.fsencode(folder), 2) == 0  # MNT_DETACH


def test_a_disk_without_room_refuses_inserts_and_the_engine_lives_on(
    small_disk: Callable[[str], Path], tmp_path: Path
):
    disk = small_disk("size=32m")
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(8 << 20))
    with _engine_on(disk, tmp_path) as engine:
        client = engine.client()
        client.execute(TABLE)
        client.execute(
            "SYSTEM STOP MERGES t"
        )  # one that fills the disk for a while would refuse an insert too
        stored = _fill(client)
        with pytest.raises(errors.ServerException) as caught:
            _insert(client, stored)
        assert caught.value.code == 243
        assert engine.process is not None
        assert engine.process.poll() is None
        assert client.execute("SELECT count(), uniqExact(block) FROM t") == [(stored * 20_000, stored)]
        ballast.unlink()
        # The block that was refused is no duplicate now; one that was stored is.
        _insert(client, stored)
        _insert(client, 0)
        assert client.execute("SELECT count() FROM t") == [((stored + 1) * 20_000,)]


def test_a_file_system_error_in_an_insert_ends_the_engine_and_nothing_is_lost(
    small_disk: Callable[[str], Path], tmp_path: Path
):
    # Bytes to spare but no more files: the engine's own check of free space does not see it coming.
    disk = small_disk("size=256m,nr_inodes=160")
    ballast = [disk / f"ballast{n}" for n in range(40)]
    for file in ballast:
        file.touch()
    with _engine_on(disk, tmp_path) as engine:
        client = engine.client()
        client.execute(TABLE)
        client.execute("SYSTEM STOP MERGES t")
        stored = _fill(client)
        assert engine.process is not None
        assert engine.process.wait(DEADLINE_S) == STORAGE_FAILED_EXIT
        assert "the engine ends itself" in engine.log.read_text()
        for file in ballast:
            file.unlink()
        engine.start()
        client = engine.client()
        assert client.execute("SELECT count(), uniqExact(block) FROM t") == [(stored * 20_000, stored)]
        for block in range(stored + 1):
            _insert(client, block)
        assert client.execute("SELECT count() FROM t") == [((stored + 1) * 20_000,)]


def _engine_on(disk: Path, tmp_path: Path):
    engine_folder = tmp_path / "engine"
    engine_folder.mkdir()
    (engine_folder / "data").symlink_to(disk / "data", target_is_directory=True)
    (disk / "data").mkdir()
    return running_engine(engine_folder)


def _fill(client: Client) -> int:
    """Insert until it fails; number of blocks that were acknowledged."""
    for block in range(200):
        try:
            _insert(client, block)
        except (EOFError, OSError, errors.Error):
            return block
    pytest.fail("the disk never ran full")


def _insert(client: Client, block: int) -> None:
    client.execute(
        f"INSERT INTO t SELECT {block}, number, randomPrintableASCII(50) FROM numbers(20000)",
        settings={"insert_deduplication_token": f"block {block}", "max_threads": 1},
    )


__all__ = ["EngineProcess"]
