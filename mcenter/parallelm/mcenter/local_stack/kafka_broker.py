"""One Kafka node (broker and controller in one, KRaft) on loopback: its properties and its commands."""

from __future__ import annotations

import base64
import uuid
from importlib.resources import as_file, files
from pathlib import Path

from parallelm.mcenter.local_stack.java import java_executable

_SMALL_JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # Classes of the class cache that it cannot link it compiles, and that is all: no warnings about them.
    "-Xlog:aot*=error",
    # Kafka unmaps its index files with it; without this every start warns about that.
    "--sun-misc-unsafe-memory-access=allow",
)


_WORKING_FOLDER = Path("/proc/self/cwd")


def server_properties(data: Path, port: int, controller_port: int) -> dict[str, str]:
    """Settings of the node. Every topic's own settings come from the topic catalogue."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "8",
        # A broker that was killed is still registered; these decide how long its successor waits for that to end.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        # Its default, 6 s, is the least time that the partitions of a killed sink or worker wait for another to take them over.
        "group.min.session.timeout.ms": "1000",
        # Its default, 128 MB, is for brokers that compact a lot; here it would be a third of the process.
        "log.cleaner.dedupe.buffer.size": "8388608",
    }


JAVA_ENVIRONMENT = {"LC_ALL": "C.UTF-8"}
"""Java reads and writes names of files in the locale's encoding: in locale C it cannot open one with an umlaut."""


def path_for_kafka(folder: Path, *parts: str) -> Path:
    """A path below ``folder``, as a broker that runs in ``folder`` can read it from its properties and arguments.

    Kafka takes ``log.dirs`` as a list with commas and trims its parts, and Java's names of files are Unicode.
    """
    text = str(folder.joinpath(*parts))
    is_unicode = text.isprintable() and not any("\ud800" <= sign <= "\udfff" for sign in text)
    return (folder if is_unicode and "," not in text else _WORKING_FOLDER).joinpath(*parts)


def write_properties(path: Path, properties: dict[str, str]) -> None:
    """Write a Java properties file; raises ``ValueError`` for text that Java cannot hold."""
    text = "".join(f"{_escaped(name)}={_escaped(value)}\n" for name, value in properties.items())
    path.write_text(text, encoding="ascii")


def _escaped(text: str) -> str:
    """As ``java.util.Properties`` reads it: Latin-1 with escapes, white space at the start is skipped."""
    escaped = "".join(map(_escaped_character, text))
    return f"\\{escaped}" if escaped.startswith(" ") else escaped


def _escaped_character(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if " " <= character <= "~":
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def java_command(jars: Path, main_class: str, *arguments: str, jvm: tuple[str, ...] = ()) -> list[str]:
    """Command line of one of Kafka's main classes."""
    with as_file(files("parallelm.mcenter.local_stack").joinpath("kafka-log4j2.properties")) as logging:
        config = f"-Dlog4j2.configurationFile={logging}"
    return [
        java_executable(), *_SMALL_JVM, *jvm, config, "-cp", f"{jars}/*", main_class, *arguments,
    ]  # fmt: skip


def broker_command(jars: Path, properties: Path, class_cache: Path) -> list[str]:
    """Command line of the node; ``class_cache`` is used when it is there (see ``kafka_training``)."""
    cache = (f"-XX:AOTCache={class_cache}",) if class_cache.exists() else ()
    return java_command(jars, "kafka.Kafka", str(properties), jvm=("-Xmx512m", *cache))


def format_command(jars: Path, properties: Path) -> list[str]:
    """Command line that gives an empty data folder its cluster id; a formatted one is left as it is."""
    # An id that begins with "-" would be taken for an option: the first two bits of six are cleared.
    number = uuid.uuid4().int & ~(0b11 << 126)
    cluster_id = base64.urlsafe_b64encode(number.to_bytes(16, "big")).decode().rstrip("=")
    return java_command(
        jars,
        "kafka.tools.StorageTool",
        "format",
        "--ignore-formatted",
        "-t",
        cluster_id,
        "-c",
        str(properties),
    )


def is_formatted(data: Path) -> bool:
    """Whether the data folder has its cluster id."""
    return (data / "meta.properties").exists()
