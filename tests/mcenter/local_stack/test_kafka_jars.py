"""Kafka's jars come complete and intact, or with an error that says what to do."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.kafka_jars import (
    cache_folder,
    ensure_kafka,
    is_complete,
    jar_folder,
    locked_jars,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def fetched() -> Path:
    return ensure_kafka(cache_folder())


def partial_copy(fetched: Path, cache: Path) -> Path:
    """A cache as a download leaves it that was killed just before its end."""
    jars = cache / f"{fetched.name}.partial" / "jars"
    shutil.copytree(fetched, jars)
    return jars


def test_the_lock_file_names_each_jar_once():
    names = [jar.file_name for jar in locked_jars()]

    assert len(names) == len(set(names)) == 46
    assert {"kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar"} <= set(names)


def test_what_is_in_the_cache_is_what_the_lock_file_names(fetched: Path):
    assert all(jar.is_intact(fetched / jar.file_name) for jar in locked_jars())


@pytest.mark.usefixtures("no_network")
def test_a_complete_cache_needs_no_network(fetched: Path):
    assert ensure_kafka(cache_folder()) == fetched


@pytest.mark.usefixtures("no_network")
def test_without_a_network_the_error_says_what_to_do(tmp_path: Path):
    with pytest.raises(StackError, match=r"Maven Central .*needs the network once.*MCENTER_CACHE"):
        ensure_kafka(tmp_path)

    assert not jar_folder(tmp_path).exists()


@pytest.mark.usefixtures("no_network")
def test_a_killed_download_goes_on_with_what_it_has(fetched: Path, tmp_path: Path):
    partial_copy(fetched, tmp_path)
    told: list[tuple[int, int]] = []

    folder = ensure_kafka(tmp_path, lambda done, total: told.append((done, total)))

    assert is_complete(folder)
    assert told[-1][0] == told[-1][1] == sum(jar.size_bytes for jar in locked_jars())
    assert not (tmp_path / f"{fetched.name}.partial").exists()


@pytest.mark.usefixtures("no_network")
def test_a_half_written_jar_is_not_taken_for_a_whole_one(fetched: Path, tmp_path: Path):
    jars = partial_copy(fetched, tmp_path)
    with (jars / "kafka-clients-4.3.1.jar").open("r+b") as jar:
        jar.seek(1000)
        jar.write(b"damage")

    with pytest.raises(StackError, match=r"kafka-clients-4\.3\.1\.jar cannot be downloaded"):
        ensure_kafka(tmp_path)

    assert not jar_folder(tmp_path).exists()


def test_a_folder_with_a_cut_jar_is_not_complete(fetched: Path, tmp_path: Path):
    folder = tmp_path / "jars"
    shutil.copytree(fetched, folder)
    assert is_complete(folder)

    with (folder / "kafka-clients-4.3.1.jar").open("r+b") as jar:
        jar.truncate(1000)

    assert not is_complete(folder)


def test_a_cache_that_cannot_be_written_is_said_so(tmp_path: Path):
    (tmp_path / "cache").touch()

    with pytest.raises(StackError, match="MCENTER_CACHE"):
        ensure_kafka(tmp_path / "cache")
