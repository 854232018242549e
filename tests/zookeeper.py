"""A real ZooKeeper on the packaged Java runtime, its jars from Maven Central: what ClickHouse's replicas meet in."""

from __future__ import annotations

import fcntl
import socket
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from parallelm.connections.tls import system_trust
from parallelm.mcenter.local_stack.kafka_broker import java_command
from parallelm.mcenter.local_stack.kafka_jars import Jar, cache_folder, ensure_kafka
from parallelm.supervision.die_with_parent import killed_with_us
from parallelm.supervision.ports import choose_ports
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JARS = (
    Jar(
        "org.apache.zookeeper",
        "zookeeper",
        "3.9.4",
        1365266,
        "7bb3bb38bbddbc71424c59a7a0b170a1b2147313a84c972225ab0568dab513bf",
    ),
    Jar(
        "org.apache.zookeeper",
        "zookeeper-jute",
        "3.9.4",
        255804,
        "bd9750935add09b6cb920f7bcf0fa7b9a8165c45cdafd8ee1fc6808c46ec9094",
    ),
    Jar(
        "commons-io",
        "commons-io",
        "2.17.0",
        515978,
        "4aa4ca48f3dfd30b78220b7881d8cb93eac4093ec94361b6befa9487998a550b",
    ),
    Jar(
        "io.dropwizard.metrics",
        "metrics-core",
        "4.1.12.1",
        105355,
        "cec34936faa625039f4e46123eccaa10a9eb9d9a40c6075830cd81330e259cf9",
    ),
)
"""What it needs beside Kafka's jars, of which it takes logging."""
_SETTINGS = """\
tickTime=500
dataDir={folder}
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
4lw.commands.whitelist=ruok
"""


def jar_folder() -> Path:
    """Folder of the jars in the cache of the local stack; fetched from Maven Central once (2 MB)."""
    from jgo.maven import MavenContext

    cache = cache_folder()
    folder = cache / "zookeeper-3.9.4"
    kafka = ensure_kafka(cache)
    with (cache / "zookeeper.lock").open("w") as lock, system_trust():
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir(exist_ok=True)
        for jar in JARS:
            if not jar.is_intact(folder / jar.file_name):
                maven = MavenContext(repo_cache=folder / "repository")
                found = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
                found.replace(folder / jar.file_name)
            assert jar.is_intact(folder / jar.file_name), f"{jar.file_name} is not the one we know"
        for pattern in ("slf4j-api-*.jar", "log4j-*.jar", "snappy-java-*.jar"):
            for path in kafka.glob(pattern):
                with suppress(FileExistsError):
                    (folder / path.name).symlink_to(path)
    return folder


@contextmanager
def running_zookeeper(folder: Path) -> Iterator[int]:
    """Port of a ZooKeeper that keeps its data in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    port = choose_ports({"zookeeper": None}, {})["zookeeper"]
    config, log = folder / "zoo.cfg", folder / "zookeeper.log"
    config.write_text(_SETTINGS.format(folder=folder / "data", port=port))
    main = "org.apache.zookeeper.server.ZooKeeperServerMain"
    command = java_command(jar_folder(), main, str(config), jvm=("-Xmx128m",))
    with (
        log.open("wb") as output,
        subprocess.Popen(killed_with_us(*command), stdout=output, stderr=output) as process,
    ):
        try:
            wait_for(lambda: process.poll() is not None or _answers(port), log.read_text)
            assert process.poll() is None, log.read_text()
            yield port
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.sendall(b"ruok")
        return connection.recv(4) == b"imok"
    return False
