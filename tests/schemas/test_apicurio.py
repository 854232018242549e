"""The whole way with a registry of another house: register, produce under its ids, read with our client and Confluent's."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from parallelm.connections import RegistrySettings, Settings, save_settings
from parallelm.connections.kafka import client_config
from parallelm.connections.tls import system_trust
from parallelm.mcenter.cli import cli
from parallelm.mcenter.local_stack.java import java_executable
from parallelm.mcenter.local_stack.kafka_jars import cache_folder
from parallelm.schemas import packaged
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import RegistryUnavailableError, UnknownSchemaError, UnregisteredSchemaError
from parallelm.schemas.http_registry import HttpRegistry, RegistryRefusedError
from parallelm.schemas.registry import make_registry
from parallelm.schemas.slicing import StatisticsDecoder
from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.topic_reader import StartPoint, read_topic
from parallelm.schemas.topics import CATALOGUE
from parallelm.supervision.die_with_parent import killed_with_us
from parallelm.supervision.ports import choose_ports
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from confluent_kafka.schema_registry import SchemaRegistryClient

pytestmark = pytest.mark.registry

GROUP, ARTIFACT, VERSION = "io.apicurio", "apicurio-registry-app", "2.6.13.Final"
SHA256 = "3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba"
WAIT_S = 120


def apicurio_folder() -> Path:
    """Folder of Apicurio's jars in the cache of the local stack; fetched from Maven Central once (142 MB)."""
    cache = cache_folder()
    folder = cache / f"apicurio-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "apicurio.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            fetch(cache / f"{folder.name}.partial", folder)
    return folder


def fetch(partial: Path, folder: Path) -> None:
    from jgo.maven import MavenContext

    shutil.rmtree(partial, ignore_errors=True)
    project = MavenContext(repo_cache=partial / "repository").project(GROUP, ARTIFACT)
    with system_trust():
        archive = project.at_version(VERSION).artifact(classifier="all", packaging="tar.gz").resolve()
    with archive.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == SHA256, (
            f"{archive.name} is not the one we know"
        )
    with tarfile.open(archive) as tar:
        tar.extractall(partial / "app", filter="data")
    (partial / "app").rename(folder)
    shutil.rmtree(partial)


@pytest.fixture(scope="module")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a running Apicurio that keeps everything in memory."""
    port = choose_ports({"apicurio": None}, {})["apicurio"]
    runner = apicurio_folder() / f"{ARTIFACT}-{VERSION}-runner.jar"
    log = tmp_path_factory.mktemp("apicurio") / "log"
    command = [
        *(java_executable(), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        *("-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}", "-jar", str(runner)),
    ]
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    with (
        log.open("wb") as output,
        subprocess.Popen(killed_with_us(*command), stdout=output, stderr=output) as process,
    ):
        try:
            wait_until_it_answers(url, process, log)
            yield url
        finally:
            process.terminate()


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    registry = HttpRegistry(RegistrySettings(url=url, timeout_s=30.0), "")

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            registry.request("GET", "/subjects")
        except RegistryUnavailableError:
            return False
        return True

    wait_for(answers, log.read_text)


@pytest.fixture
def configured(
    apicurio: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """This test's settings with the registry in them, for code and for commands."""
    found = dataclasses.replace(settings, schema_registry=RegistrySettings(url=apicurio))
    file = tmp_path / "mcenter.toml"
    save_settings(found, file)
    monkeypatch.setenv("MCENTER_CONFIG", str(file))
    return found


def mcenter(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, arguments)
    return result.exit_code, result.output


def confluent_client(settings: Settings) -> SchemaRegistryClient:
    from confluent_kafka.schema_registry import SchemaRegistryClient

    return SchemaRegistryClient({"url": settings.schema_registry.url})


def test_every_record_goes_through_a_real_registry(configured: Settings, examples: dict[str, Any]):
    from confluent_kafka.schema_registry import topic_subject_name_strategy
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    prefix = configured.kafka.topic_prefix
    with pytest.raises(UnregisteredSchemaError, match="mcenter schemas register"):
        Codec(make_registry(configured.schema_registry, prefix)).encode(examples["Event"])
    exit_code, output = mcenter("schemas", "check")
    assert (exit_code, output.count("run `mcenter schemas register`")) == (1, len(CATALOGUE))
    exit_code, output = mcenter("schemas", "register")
    assert (exit_code, len(output.splitlines())) == (0, len(CATALOGUE))
    assert mcenter("schemas", "register") == (0, output), "registering again changes nothing"
    assert mcenter("schemas", "check")[0] == 0

    create_topics(configured)
    writer = Codec(make_registry(configured.schema_registry, prefix))
    producer = Producer(client_config(configured.kafka))
    for topic in CATALOGUE:
        producer.produce(topic.full_name(prefix), writer.encode(examples[topic.record.__name__]), key=b"k")
    assert producer.flush(WAIT_S) == 0

    reader = Codec(make_registry(configured.schema_registry, prefix))
    with confluent_client(configured) as client:
        theirs = AvroDeserializer(client, conf={"subject.name.strategy": topic_subject_name_strategy})
        for topic in CATALOGUE:
            name, example = topic.full_name(prefix), examples[topic.record.__name__]
            (raw,) = read_topic(configured, name, StartPoint("beginning"), follow=False)
            assert raw.value is not None
            assert 0 < int.from_bytes(raw.value[1:5], "big") < packaged.RESERVED_IDS.start
            assert reader.decode(raw.value, topic.record) == example
            value = theirs(raw.value, SerializationContext(name, MessageField.VALUE))
            assert list(value) == [field.name for field in dataclasses.fields(example)]
    batch = StatisticsDecoder(reader.registry).decode(writer.encode(examples["StatisticsBatch"]))
    assert batch.series[0].name == examples["StatisticsBatch"].series[0].name.encode()


def test_what_confluents_client_writes_is_read_by_us(configured: Settings, examples: dict[str, Any]):
    from confluent_kafka.schema_registry import topic_subject_name_strategy
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    assert mcenter("schemas", "register")[0] == 0
    conf = {
        "auto.register.schemas": False,
        "use.latest.version": True,
        "subject.name.strategy": topic_subject_name_strategy,
    }
    with confluent_client(configured) as client:
        serialize = AvroSerializer(client, packaged.current("Event").text, conf=conf)
        context = SerializationContext(f"{configured.kafka.topic_prefix}events", MessageField.VALUE)
        data = serialize(dataclasses.asdict(examples["Event"]), context)
    codec = Codec(make_registry(configured.schema_registry, configured.kafka.topic_prefix))
    assert codec.decode(data) == examples["Event"]


def test_the_registry_keeps_incompatible_schemas_out_and_says_which_ids_it_lacks(configured: Settings):
    assert mcenter("schemas", "register")[0] == 0
    prefix = configured.kafka.topic_prefix
    registry = HttpRegistry(configured.schema_registry, prefix)
    schema = json.loads(packaged.current("Heartbeat").text)
    schema["fields"].append({"name": "hard", "type": "string"})
    with pytest.raises(RegistryRefusedError, match="HTTP 409"):
        registry.request(
            "POST",
            f"/subjects/{prefix}heartbeats-value/versions",
            {"schema": json.dumps(schema), "schemaType": "AVRO"},
        )
    with pytest.raises(UnknownSchemaError, match="has no schema with id 99999"):
        registry.schema(99_999)
