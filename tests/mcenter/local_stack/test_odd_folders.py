"""A stack in a folder of any name keeps all of its data there, and can be started again after the folder was removed."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from hypothesis import given
from hypothesis import strategies as st

from parallelm.connections import ConfigurationError, load_settings
from parallelm.connections.artifacts import artifacts_url, filesystem, local_path
from parallelm.connections.kafka import client_config
from parallelm.connections.settings import ArtifactSettings
from parallelm.mcenter.local_stack.kafka_broker import path_for_kafka, write_properties
from parallelm.schemas.topic_admin import create_topics
from tests.mcenter.local_stack.conftest import CommandLine, all_gone
from tests.waiting import wait_for

SERVICES = ("--service", "kafka", "--service", "clickhouse")


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("mein projekt ü", 1),  # Kafka is given the folder itself
        pytest.param("mein projekt ü", 2, marks=pytest.mark.long),  # the second start finds it gone
        pytest.param(os.fsdecode(b'a%20b, #1 ?x=1&y \\b "q"/caf\xe9 \n'), 1, marks=pytest.mark.long),
    ],
)
def test_a_stack_lives_and_ends_in_its_folder(tmp_path: Path, name: str, starts: int) -> None:
    folder = tmp_path / name / "data"
    for _ in range(starts):
        stack = CommandLine(folder)
        assert stack.run("up", "--detach", *SERVICES).returncode == 0
        try:
            settings = load_settings({}, file=folder / "mcenter.toml")
            create_topics(settings)
            topics = AdminClient(client_config(settings.kafka)).list_topics(timeout=60).topics
            assert "mlops.models" in topics
            store, root = filesystem(settings.artifacts, f"{artifacts_url(settings.artifacts)}/app/m")
            store.makedirs(root)
            store.pipe_file(f"{root}/model", b"weights")
            assert (folder / "artifacts" / "app" / "m" / "model").read_bytes() == b"weights"
            assert list((folder / "kafka").glob("mlops.models-*"))
            assert any((folder / "clickhouse").iterdir())
            assert "ok      data " in stack.run("doctor").stdout
        finally:
            assert stack.run("down").returncode == 0
        [top] = tmp_path.iterdir()
        assert top.name == name.partition("/")[0]
        shutil.rmtree(top)


def test_a_stack_whose_folder_is_removed_ends_and_leaves_a_new_one_alone(tmp_path: Path) -> None:
    stack = CommandLine(tmp_path / "data")
    assert stack.run("up", "--detach", "--service", "clickhouse").returncode == 0
    pids = stack.pids()
    shutil.rmtree(stack.folder)
    assert stack.run("up", "--detach", "--service", "clickhouse").returncode == 0
    try:
        wait_for(lambda: all_gone(pids), "the end of the first stack")
        assert stack.run("status").returncode == 0
    finally:
        assert stack.run("down").returncode == 0


def read_as_java_does(text: str) -> dict[str, str]:
    """``java.util.Properties.load``, as far as the writer needs it."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        units = re.sub(
            r"\\u([0-9a-f]{4})|\\(.)", lambda m: chr(int(m[1], 16)) if m[1] else m[2], value.lstrip(" \t\f")
        )
        found[name] = units.encode("utf-16", "surrogatepass").decode("utf-16")
    return found


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_java_reads_the_properties_that_are_written(value: str) -> None:
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / f"{uuid.uuid4().hex}.properties"  # noqa: S108
    try:
        write_properties(path, {"log.dirs": value, "after": "x"})
        assert read_as_java_does(path.read_text("latin-1")) == {"log.dirs": value, "after": "x"}
    finally:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("folder", "shown"),
    [
        ("/a b/ü", "/a b/ü/kafka"),
        ("/a,b", "/proc/self/cwd/kafka"),
        ("/a\nb", "/proc/self/cwd/kafka"),
        (os.fsdecode(b"/a\xff"), "/proc/self/cwd/kafka"),
    ],
)
def test_kafka_is_given_a_path_that_it_can_read(folder: str, shown: str) -> None:
    assert str(path_for_kafka(Path(folder), "kafka")) == shown


@pytest.mark.parametrize(
    "name", ["a b", "ü%20", "100%", "#1?x=1&y", "a::b", "\\b", "a\nb", os.fsdecode(b"\xff"), "~"]
)
def test_the_url_of_a_folder_is_that_folder(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for url in (folder.as_uri(), folder.as_uri().replace("file://", "file://localhost"), str(folder)):
        if "::" in url:
            continue
        store, path = filesystem(ArtifactSettings(url=url))
        store.pipe_file(f"{path}/model", b"w")
        assert (folder / "model").read_bytes() == b"w"
        (folder / "model").unlink()
    monkeypatch.chdir(folder)
    assert artifacts_url(ArtifactSettings()) == (folder / ".mcenter" / "artifacts").as_uri()
    assert local_path(artifacts_url(ArtifactSettings(url="models"))) == str(folder / "models")


def test_a_file_url_of_another_host_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="names the host 'host'"):
        filesystem(ArtifactSettings(url="file://host/models"))
