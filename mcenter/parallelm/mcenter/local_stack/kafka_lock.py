"""Write the lock file of Kafka's jars: ``python -m parallelm.mcenter.local_stack.kafka_lock > kafka-4.3.1.lock``.

Run manually when the Kafka version changes. Everybody else downloads what the lock file names, checked by SHA-256.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from parallelm.mcenter.local_stack.kafka_jars import KAFKA_VERSION

KAFKA = f"org.apache.kafka:kafka_2.13:jar:{KAFKA_VERSION}:compile"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:jar:2.25.4:compile"
"""Binds Kafka's logging. Kafka's own distribution ships it, its POM does not name it; what it needs is there already."""


def lock_lines(repository: Path) -> list[str]:
    """``group:artifact:version size sha256`` of every jar of the broker, sorted."""
    from jgo.maven import MavenContext
    from jgo.parse import Coordinate

    context = MavenContext(repo_cache=repository)
    kafka, logging = (context.create_dependency(Coordinate.parse(root)) for root in (KAFKA, LOGGING))
    _, transitive = context.resolver.resolve([kafka])
    wanted = [kafka, logging, *(entry for entry in transitive if entry.scope in {"compile", "runtime"})]
    lines = set()
    for dependency in wanted:
        jar = dependency.artifact.resolve()
        name = f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}"
        lines.add(f"{name} {jar.stat().st_size} {hashlib.sha256(jar.read_bytes()).hexdigest()}")
    return sorted(lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write("\n".join(lock_lines(Path(folder))) + "\n")
