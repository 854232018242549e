"""Python environments of components, by their lock files: each is made once on a host, by uv."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from parallelm.agent.pipelines.errors import PreparationError
from parallelm.agent.pipelines.pruning import mark_used
from parallelm.agent.pipelines.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_COMPLETE = ".complete"
_LAST_LINES = 20
BUILD_S = 3600.0
"""Time that uv has for one command."""
BUILDS_AT_ONCE = 4
"""Of one agent: each loads from several places and builds on several cores by itself."""


class PythonEnvironments:
    """A folder of environments. Several agents, threads and processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._builds = threading.BoundedSemaphore(BUILDS_AT_ONCE)

    def python(self, component: Path, lock: str, version: str | None) -> Path:
        """The interpreter of the environment that the component's lock file describes, made if need be.

        Raises ``PreparationError`` with the last of what uv had to say.
        """
        files = [component / lock]
        if files[0].name == "uv.lock":
            files.append(files[0].with_name("pyproject.toml"))
        files += sorted(component.rglob("*.whl"))  # a lock file may name some
        wanted = version or sys.executable
        place = self._folder / _digest(files, wanted)
        with _locked(place.with_suffix(".lock")):
            if not (place / _COMPLETE).exists():
                shutil.rmtree(place, ignore_errors=True)
                try:
                    with self._builds:
                        self._make(place, files, wanted)
                except PreparationError:
                    shutil.rmtree(place, ignore_errors=True)  # half of it may have filled the disk
                    raise
                (place / _COMPLETE).touch()
            mark_used(place)
        return place / "bin" / "python"

    def _make(self, place: Path, files: Sequence[Path], version: str) -> None:
        # Paths in a lock file are relative to the component's folder.
        lock = files[0]
        if lock.name == "uv.lock":
            sync = ["sync", "--frozen", "--no-install-project", "--no-dev", "--python", version]
            self._uv([*sync, "--project", str(lock.parent)], lock, place)
        else:
            self._uv(["venv", "--python", version, str(place)], lock, place)
            python = str(place / "bin" / "python")
            self._uv(["pip", "install", "--python", python, "--requirements", str(lock)], lock, place)

    def _uv(self, arguments: Sequence[str], lock: Path, place: Path) -> None:
        from uv import find_uv_bin

        cache = self._folder / "uv-cache"
        cache.mkdir(parents=True, exist_ok=True)
        mark_used(cache)
        environ = {
            **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
            "UV_PROJECT_ENVIRONMENT": str(place),
            "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(cache)),
            "UV_NO_PROGRESS": "1",
        }
        try:
            done = subprocess.run(
                [find_uv_bin(), *arguments],
                env=environ,
                cwd=lock.parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=BUILD_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PreparationError(f"uv cannot make the environment of {lock.name}: {error}") from error
        if done.returncode:
            text = masked(done.stdout.decode("utf-8", "replace"), environ, {})
            said = "\n".join(text.splitlines()[-_LAST_LINES:])
            raise PreparationError(
                f"uv cannot make the environment of {lock.name} (exit code {done.returncode}):\n{said}"
            )


def _digest(files: Sequence[Path], version: str) -> str:
    digest = hashlib.sha256(f"{version}\0{platform.platform()}\0{sys.version}".encode())
    for file in files:
        try:
            digest.update(b"\0" + file.name.encode() + b"\0" + file.read_bytes())
        except OSError as error:
            raise PreparationError(f"lock file {file.name} cannot be read: {error}") from error
    return digest.hexdigest()[:32]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
